// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
public import Foundation
internal import Glibc

/// A process that a test runs, with its output and its exit status.
///
/// It never outlives the test process, however that one ends: a watchdog in its process group reads from a pipe whose
/// other end only the test process holds, and kills the group when that end is closed. (`PR_SET_PDEATHSIG` is no
/// alternative: it follows the *thread* that created the child, and the threads of a pool come and go.) Any thread may
/// use it.
public final class ChildProcess: Sendable {
  /// An output stream of the process.
  public enum Stream: Sendable {
    case output, error
  }

  /// The exit status of the process: its exit code, or the signal that ended it.
  public enum Status: Sendable, Equatable {
    case exited(Int32)
    case signaled(Int32)
  }

  private struct State {
    var lines: [(stream: Stream, text: String)] = []
    var status: Status?
    var readingIsDone = false
  }

  private struct Watch {
    var pipe: Int32
    var threads: [OSThread]
  }

  /// The process id.
  public let pid: pid_t
  private let name: String
  private let state: Locked<State>
  private let watch: Locked<Watch>

  private static let launcher = """
    cd "$1" || exit 126
    shift
    exec 3<&0 </dev/null
    { read -r _ <&3; kill -s KILL -- "-$$"; } >/dev/null 2>&1 &
    exec 3<&-
    exec "$@"
    """

  /// Starts a process. Its standard input is empty.
  ///
  /// - Parameters:
  ///   - executable: the path of the executable.
  ///   - arguments: the arguments.
  ///   - environment: variables that are added to those of the test process.
  ///   - folder: the working directory; nil for that of the test process.
  /// - Throws: ``TestFailure`` if the process cannot be started.
  public init(
    _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: URL? = nil
  ) throws {
    name = URL(fileURLWithPath: executable).lastPathComponent
    let folder = folder?.path ?? FileManager.default.currentDirectoryPath
    let command = ["/bin/sh", "-c", Self.launcher, "sh", folder, executable] + arguments
    var all = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    // libmongoc keeps counters in shared memory, which remains after a process was killed. When the library is loaded,
    // before any code of the program runs, it logs errors about the rest of a process with the same id to standard
    // error.
    all["MONGOC_DISABLE_SHM"] = "1"
    let started = try startOne.withLock { _ in
      try start(command, environment: all.map { "\($0)=\($1)" })
    }
    let state = Locked(State())
    self.state = state
    pid = started.pid
    let reader = OSThread(name: "child-read") {
      Self.readLines([(started.output, .output), (started.error, .error)], into: state)
    }
    let waiter = OSThread(name: "child-wait") { Self.reap(started.pid, into: state) }
    watch = Locked(Watch(pipe: started.watchdog, threads: [reader, waiter]))
  }

  deinit {
    send(SIGKILL)
    close(watch.withLock { $0.pipe })
    for thread in watch.withLock({ $0.threads }) { thread.join() }
  }

  /// The lines of standard output so far.
  public var outputLines: [String] { lines(of: .output) }

  /// The lines of standard error so far.
  public var errorLines: [String] { lines(of: .error) }

  /// Whether the process has not ended.
  public var isRunning: Bool { state.withLock { $0.status == nil } }

  private func lines(of stream: Stream) -> [String] {
    state.withLock { state in state.lines.filter { $0.stream == stream }.map(\.text) }
  }

  /// The last lines of both streams, for a message.
  public var lastLines: String {
    state.withLock { $0.lines.suffix(20).map(\.text).joined(separator: "\n") }
  }

  /// Waits for a line that fulfils a condition, including the lines so far.
  ///
  /// - Parameters:
  ///   - what: a description of the line, for the error message.
  ///   - timeout: the longest wait.
  ///   - matches: the condition.
  /// - Returns: the line.
  /// - Throws: ``TestFailure`` if the process ends or the time passes without the line.
  @discardableResult
  public func waitForLine(
    _ what: String, timeout: Duration = .seconds(120), where matches: (String) -> Bool
  ) throws -> String {
    let deadline = MonotonicTime.now.advanced(by: timeout)
    let answer: String?? = state.wait(until: deadline) { state in
      if let line = state.lines.first(where: { matches($0.text) }) { return .some(line.text) }
      return state.readingIsDone ? .some(nil) : nil
    }
    guard let line = answer ?? nil else {
      let reason = answer == nil ? "not within \(timeout.seconds) s" : "it ended"
      throw TestFailure("\(name): no line for: \(what) (\(reason)). Its last lines:\n\(lastLines)")
    }
    return line
  }

  /// Sends a signal. It has no effect if the process has ended.
  ///
  /// - Parameter signal: the number of the signal.
  public func send(_ signal: Int32) {
    // The process is reaped under the same lock, so its id cannot belong to another process yet.
    state.withLock { if $0.status == nil { _ = Glibc.kill(pid, signal) } }
  }

  /// Waits until the process has ended and its last line has been read.
  ///
  /// - Parameter timeout: the longest wait.
  /// - Returns: the exit status.
  /// - Throws: ``TestFailure`` if the time passes first.
  @discardableResult
  public func waitForExit(timeout: Duration = .seconds(120)) throws -> Status {
    let deadline = MonotonicTime.now.advanced(by: timeout)
    let status = state.wait(until: deadline) { $0.readingIsDone ? $0.status : nil }
    guard let status else {
      throw TestFailure("\(name) has not ended within \(timeout.seconds) s. Its last lines:\n\(lastLines)")
    }
    return status
  }

  /// Ends the process by SIGTERM, and by SIGKILL if it has not ended in time.
  ///
  /// - Parameter timeout: the wait before SIGKILL.
  /// - Returns: the exit status.
  /// - Throws: ``TestFailure`` if the process does not end.
  @discardableResult
  public func stop(timeout: Duration = .seconds(60)) throws -> Status {
    send(SIGCONT)
    send(SIGTERM)
    if let status = try? waitForExit(timeout: timeout) { return status }
    send(SIGKILL)
    return try waitForExit()
  }

  /// Runs a process to its end.
  ///
  /// - Parameters:
  ///   - executable: the path of the executable.
  ///   - arguments: the arguments.
  ///   - environment: variables that are added to those of the test process.
  ///   - folder: the working directory; nil for that of the test process.
  ///   - timeout: the longest run time.
  /// - Returns: the lines of standard output.
  /// - Throws: ``TestFailure`` with the last lines, if the process fails or the time passes.
  @discardableResult
  public static func run(
    _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: URL? = nil,
    timeout: Duration = .seconds(60)
  ) throws -> [String] {
    let child = try ChildProcess(executable, arguments, environment: environment, folder: folder)
    let status = try child.waitForExit(timeout: timeout)
    guard status == .exited(0) else {
      throw TestFailure("\(child.name) \(status). Its last lines:\n\(child.lastLines)")
    }
    return child.outputLines
  }

  /// The work of the two threads. These functions are static, so that the threads do not retain the object.
  private static func readLines(_ sources: [(file: Int32, stream: Stream)], into state: Locked<State>) {
    var open = sources.map { pollfd(fd: $0.file, events: Int16(POLLIN), revents: 0) }
    var rest = sources.map { _ in [UInt8]() }
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while open.contains(where: { $0.fd >= 0 }) {
      let ready = poll(&open, nfds_t(open.count), 100)
      // The output that a grandchild keeps open is not awaited.
      if ready == 0 && state.withLock({ $0.status != nil }) { break }
      for index in open.indices where open[index].fd >= 0 && open[index].revents != 0 {
        let count = read(open[index].fd, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        if count <= 0 {
          open[index].fd = -1
          continue
        }
        rest[index] += chunk[..<count]
        var lines = rest[index].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        rest[index] = lines.popLast().map(Array.init) ?? []
        let stream = sources[index].stream
        let texts = lines.map { (stream: stream, text: String(decoding: $0, as: UTF8.self)) }
        state.withLock { $0.lines += texts }
        state.signal()
      }
    }
    for (index, source) in sources.enumerated() {
      close(source.file)
      guard !rest[index].isEmpty else { continue }
      let text = String(decoding: rest[index], as: UTF8.self)
      state.withLock { $0.lines.append((source.stream, text)) }
    }
    state.withLock { $0.readingIsDone = true }
    state.signal()
  }

  private static func reap(_ pid: pid_t, into state: Locked<State>) {
    // Waits without reaping, and then reaps under the lock; see `send`.
    var info = siginfo_t()
    while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
    state.withLock { state in
      var code: Int32 = 0
      waitpid(pid, &code, 0)
      state.status = code & 0x7f == 0 ? .exited((code >> 8) & 0xff) : .signaled(code & 0x7f)
    }
    state.signal()
  }
}

/// Serializes starts: a child that was created between the creation of a pipe and its close-on-exec flag would keep the
/// pipe of another child's watchdog open.
private let startOne = Locked(0)

private struct Started: Sendable {
  var pid: pid_t
  var watchdog: Int32
  var output: Int32
  var error: Int32
}

private func start(_ command: [String], environment: [String]) throws -> Started {
  var ends: [Int32] = []
  do {
    for _ in 0..<3 {
      var two: [Int32] = [-1, -1]
      guard pipe(&two) == 0 else { throw TestFailure("pipe: \(String(cString: strerror(errno)))") }
      for end in two { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      ends += two
    }
    let pid = try spawn(command, environment: environment, files: [ends[0], ends[3], ends[5]])
    for end in [ends[0], ends[3], ends[5]] { close(end) }
    return Started(pid: pid, watchdog: ends[1], output: ends[2], error: ends[4])
  } catch {
    for end in ends { close(end) }
    throw error
  }
}

/// Starts a process group with the three files, and with the default action for all signals.
private func spawn(_ command: [String], environment: [String], files: [Int32]) throws -> pid_t {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  for (number, file) in files.enumerated() { posix_spawn_file_actions_adddup2(&actions, file, Int32(number)) }

  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var none = sigset_t()
  sigemptyset(&none)
  var all = sigset_t()
  sigfillset(&all)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setsigdefault(&attributes, &all)
  posix_spawnattr_setpgroup(&attributes, 0)
  let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
  posix_spawnattr_setflags(&attributes, Int16(flags))

  let arguments = command.map { strdup($0) } + [nil]
  let variables = environment.map { strdup($0) } + [nil]
  defer { for text in arguments + variables { free(text) } }
  var pid: pid_t = 0
  let code = posix_spawn(&pid, command[0], &actions, &attributes, arguments, variables)
  guard code == 0 else { throw TestFailure("\(command[0]) does not start: \(String(cString: strerror(code)))") }
  return pid
}
