// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// A thread of the operating system, for work that blocks (libmongoc) or that owns an event loop.
///
/// It must be joined or detached before it is released.
public final class OSThread: @unchecked Sendable {
  /// The scheduling priority of a thread where there are more threads than CPUs.
  public enum Urgency: Sendable {
    /// Gets a CPU soon after it wakes, before threads that have run there for long (from Linux 6.12 on).
    case prompt
    /// The priority of the process.
    case usual
    /// Never preempts a running thread. Where CPUs are scarce, it gets a third of the CPU time of a usual thread.
    case patient
    /// The same, with a tenth; less where it yields.
    case background

    /// The nice value, see setpriority(2).
    fileprivate var niceness: Int32 {
      switch self {
      case .prompt, .usual: 0
      case .patient: 5
      case .background: 10
      }
    }
  }

  // Safe to share: only `init` writes `handle`, and only the one caller of `join()` or `detach()` writes `joined`.
  private var handle = pthread_t()
  private var joined = false

  /// Starts a thread.
  ///
  /// - Parameters:
  ///   - name: the name, which is truncated to the 15 bytes that Linux stores.
  ///   - urgency: the scheduling priority.
  ///   - body: the work of the thread.
  public init(name: String, urgency: Urgency = .usual, _ body: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(ThreadStart(name: String(name.prefix(15)), urgency: urgency, body: body))
    let code = pthread_create(&handle, nil, runThread, start.toOpaque())
    precondition(code == 0, "pthread_create failed with \(code)")
  }

  deinit {
    precondition(joined, "a thread must be joined")
  }

  /// Yields the CPU of the calling thread to a thread that waits for it.
  public static func yield() {
    sched_yield()
  }

  /// Waits for the end of the thread. Must be called once, by its owner.
  public func join() {
    pthread_join(handle, nil)
    joined = true
  }

  /// Detaches the thread, so that it ends by itself and no thread waits for it. Must be called once, by its owner,
  /// instead of ``join()``. The thread itself may call it.
  public func detach() {
    pthread_detach(handle)
    joined = true
  }
}

/// Starts a detached thread. Its closure must retain everything that it uses.
///
/// - Parameters:
///   - name: the name, which is truncated to the 15 bytes that Linux stores.
///   - urgency: the scheduling priority.
///   - body: the work of the thread.
public func detachThread(
  name: String, urgency: OSThread.Urgency = .usual, _ body: @escaping @Sendable () -> Void
) {
  var handle = pthread_t()
  let start = Unmanaged.passRetained(ThreadStart(name: String(name.prefix(15)), urgency: urgency, body: body))
  let code = pthread_create(&handle, nil, runThread, start.toOpaque())
  precondition(code == 0, "pthread_create failed with \(code)")
  pthread_detach(handle)
}

private final class ThreadStart: Sendable {
  let name: String
  let urgency: OSThread.Urgency
  let body: @Sendable () -> Void

  init(name: String, urgency: OSThread.Urgency, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.urgency = urgency
    self.body = body
  }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
  nameThread(start.name)
  setUrgency(start.urgency)
  start.body()
  return nil
}

/// Sets the calling thread's priority. If the system refuses, only performance suffers.
private func setUrgency(_ urgency: OSThread.Urgency) {
  switch urgency {
  case .usual: return
  case .prompt: return _ = configlookup_set_slice(100_000)
  case .patient, .background: break
  }
  // SCHED_BATCH of sched(7), whose constant Swift does not import.
  var parameters = sched_param()
  _ = pthread_setschedparam(pthread_self(), 3, &parameters)
  // On Linux, 0 means the calling thread. The nice value is not lowered below that of the process.
  let which = __priority_which_t(PRIO_PROCESS.rawValue)
  _ = setpriority(which, 0, max(getpriority(which, 0), urgency.niceness))
  // The slice is longer than that of a prompt thread, which would otherwise not get the CPU. It is short because a
  // thread that yields loses the rest of its slice, and a thread that reads a collection yields often.
  if urgency == .background { _ = configlookup_set_slice(200_000) }
}

/// Sets the calling thread's name. Swift does not import `pthread_setname_np`, but the kernel also takes the name from
/// a file (proc(5), `comm`).
private func nameThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
  guard file >= 0 else { return }
  _ = Array(name.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
  close(file)
}
