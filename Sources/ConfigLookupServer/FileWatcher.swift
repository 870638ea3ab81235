// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc

/// Reloads files that have changed. A thread of its own checks them at an interval.
///
/// It follows symbolic links, so that a volume which replaces one link by another is detected. A change counts once two
/// checks agree, because a certificate and its key are seldom written at the same moment. Files that could not be read
/// are read again at each check until they can be: the reason may be in the server itself (no descriptors left), and
/// then nothing about the files will change.
final class FileWatcher: Sendable {
  /// Files that are read together.
  struct Group: Sendable {
    /// The name in the log, as `tls`.
    let name: String
    let files: WatchedFiles
    /// Reads the files again. If it throws, the previous contents stay in force.
    let reload: @Sendable () throws -> Void
  }

  private struct State: Sendable {
    var isStopped = false
    var wantsAll = false
    /// By group: the state of the files when they were last read, and at the last check.
    var read: [WatchedFiles]
    var seen: [WatchedFiles]
    /// By group: the error of the last reload; nil if it succeeded.
    var failures: [String?]
  }

  private let groups: [Group]
  private let interval: Duration
  private let logger: Logger
  private let state: Locked<State>
  private let thread = Locked<OSThread?>(nil)

  /// Makes a watcher that checks the files at an interval.
  init(_ groups: [Group], every interval: Duration, logger: Logger) {
    self.groups = groups
    self.interval = interval
    self.logger = logger
    state = Locked(
      State(read: groups.map(\.files), seen: groups.map(\.files), failures: groups.map { _ in nil }))
  }

  /// Starts the thread. The caller must call ``stop()`` in the end.
  func start() {
    thread.withLock { $0 = OSThread(name: "files") { self.run() } }
  }

  /// Reloads all files soon, whether they have changed or not. Any thread.
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
      let wakeUp = state.wait(until: .now.advanced(by: interval)) { state -> Bool? in
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

  /// The number of groups whose last reload failed: the contents in force are older than the files.
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

/// The state of files at one moment.
struct WatchedFiles: Sendable, Equatable {
  let paths: [String]
  private let fingerprints: [Fingerprint]

  /// Records the state. Make it before the files are read, so that a change during the reading is detected later.
  init(_ paths: [String]) {
    self.paths = paths
    fingerprints = paths.map(Fingerprint.init)
  }
}

/// Distinguishes states of a file without reading it.
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
