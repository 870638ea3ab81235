internal import Core
internal import Glibc

/// Has files read again when they have changed: looked at from time to time, by a thread of its own.
///
/// Follows links, so that a volume which swaps one for another is seen. A change counts once two looks agree: a
/// certificate and its key are seldom written at the same moment. What could not be read is read again at each look
/// until it can be: the reason may have been the server's own (no descriptors left), and then nothing about the file
/// will change.
final class FileWatcher: Sendable {
  /// Files that belong together.
  struct Group: Sendable {
    /// For the log: `tls`.
    let name: String
    let files: WatchedFiles
    /// Reads them again. A throw leaves all as it was.
    let reload: @Sendable () throws -> Void
  }

  private struct State: Sendable {
    var isStopped = false
    var wantsAll = false
    /// By group: what was last read, and what was last seen.
    var read: [WatchedFiles]
    var seen: [WatchedFiles]
    /// By group: why the last reading failed; nil where it did not.
    var failures: [String?]
  }

  private let groups: [Group]
  private let seconds: Double
  private let logger: Logger
  private let state: Locked<State>
  private let thread = Locked<OSThread?>(nil)

  /// Looks every `seconds`.
  init(_ groups: [Group], everySeconds seconds: Double, logger: Logger) {
    self.groups = groups
    self.seconds = seconds
    self.logger = logger
    state = Locked(
      State(read: groups.map(\.files), seen: groups.map(\.files), failures: groups.map { _ in nil }))
  }

  /// To be followed by ``stop()``.
  func start() {
    thread.withLock { $0 = OSThread(name: "files") { self.run() } }
  }

  /// Reads all of them again, soon, changed or not. Any thread.
  func reloadAll() {
    state.withLock { $0.wantsAll = true }
    state.signal()
  }

  /// Ends the thread, and waits for it.
  func stop() {
    state.withLock { $0.isStopped = true }
    state.signal()
    let running = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    running?.join()
  }

  private func run() {
    while true {
      let wakeUp = state.wait(until: .now.advanced(bySeconds: seconds)) { state -> Bool? in
        if state.isStopped { return false }
        return state.wantsAll ? true : nil
      }
      if wakeUp == false { return }
      look(readsAll: wakeUp == true)
    }
  }

  private func look(readsAll: Bool) {
    let now = groups.map { WatchedFiles($0.files.paths) }
    let due = state.withLock { state in
      state.wantsAll = false
      let due = groups.indices.filter { index in
        readsAll || state.failures[index] != nil
          || (now[index] == state.seen[index] && now[index] != state.read[index])
      }
      state.seen = now
      for index in due { state.read[index] = now[index] }
      return due
    }
    for index in due { reload(index) }
  }

  /// How many groups of files could not be read the last time: what is in force is older than what the files say.
  var failedCount: Int { state.withLock { $0.failures.count { $0 != nil } } }

  private func reload(_ index: Int) {
    let group = groups[index]
    let files = Logger.Field.string(group.files.paths.joined(separator: ", "))
    let before = state.withLock { $0.failures[index] }
    do {
      try group.reload()
      state.withLock { $0.failures[index] = nil }
      logger.info("files_reloaded", "Files reloaded", ["what": .string(group.name), "files": files])
    } catch {
      let problem = "\(error)"
      state.withLock { $0.failures[index] = problem }
      guard problem != before else { return }
      logger.error(
        "files_not_reloaded", "\(problem); the previous contents stay in force, and reading is retried",
        ["what": .string(group.name), "files": files])
    }
  }
}

/// Files as they are at one moment.
struct WatchedFiles: Sendable, Equatable {
  let paths: [String]
  private let fingerprints: [Fingerprint]

  /// To be made before they are read: what changes while they are is seen then.
  init(_ paths: [String]) {
    self.paths = paths
    fingerprints = paths.map(Fingerprint.init)
  }
}

/// Tells one state of a file from another, without reading it.
private struct Fingerprint: Sendable, Equatable {
  private var numbers: [Int] = []

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    numbers = [
      Int(bitPattern: UInt(status.st_dev)), Int(bitPattern: UInt(status.st_ino)), Int(status.st_size),
      status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
    ]
  }
}
