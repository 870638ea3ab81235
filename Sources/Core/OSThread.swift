internal import CLinux
internal import Glibc

/// A thread of the operating system: for work that blocks (libmongoc) or that owns an event loop.
///
/// Must be joined or detached before it is released.
public final class OSThread: @unchecked Sendable {
  /// How much the thread wants the processor, where there are more threads than processors.
  public enum Urgency: Sendable {
    /// Gets its processor soon when it wakes, before threads that have run there for long (from Linux 6.12 on).
    case prompt
    case usual
    /// Never takes a processor from a thread that runs on it, and when there are too few gets a third of what a usual
    /// thread gets.
    case patient
    /// The same, with a tenth; less where it yields.
    case background

    /// As setpriority(2) has it.
    fileprivate var niceness: Int32 {
      switch self {
      case .prompt, .usual: 0
      case .patient: 5
      case .background: 10
      }
    }
  }

  // Safe to share: `handle` is written in `init` only; `joined` only by the one caller of `join()` or `detach()`.
  private var handle = pthread_t()
  private var joined = false

  /// Starts a thread. `name` is cut to the 15 bytes that Linux keeps.
  public init(name: String, urgency: Urgency = .usual, _ body: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(ThreadStart(name: String(name.prefix(15)), urgency: urgency, body: body))
    let code = pthread_create(&handle, nil, runThread, start.toOpaque())
    precondition(code == 0, "pthread_create failed with \(code)")
  }

  deinit {
    precondition(joined, "a thread must be joined")
  }

  /// Lets a thread that waits for this one's processor have it.
  public static func yield() {
    sched_yield()
  }

  /// Waits for the end of the thread. To be called once, by its owner.
  public func join() {
    pthread_join(handle, nil)
    joined = true
  }

  /// Lets the thread end by itself: nothing waits for it. To be called once, by its owner, in place of ``join()``. The
  /// thread itself may call it.
  public func detach() {
    pthread_detach(handle)
    joined = true
  }
}

/// Starts a thread that nobody waits for: it must hold all that it uses.
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

/// A system that refuses it loses nothing but time.
private func setUrgency(_ urgency: OSThread.Urgency) {
  switch urgency {
  case .usual: return
  case .prompt: return _ = configlookup_set_slice(100_000)
  case .patient, .background: break
  }
  // SCHED_BATCH of sched(7), which Swift does not see.
  var parameters = sched_param()
  _ = pthread_setschedparam(pthread_self(), 3, &parameters)
  // 0: the calling thread, as Linux has it. Not less nice than the process was started.
  let which = __priority_which_t(PRIO_PROCESS.rawValue)
  _ = setpriority(which, 0, max(getpriority(which, 0), urgency.niceness))
  // Longer than that of a prompt thread, which would not get the processor otherwise; and short, because who yields
  // goes without the rest of it, as one that reads a collection does.
  if urgency == .background { _ = configlookup_set_slice(200_000) }
}

/// Swift does not see `pthread_setname_np`; the kernel takes the name from a file as well (proc(5), `comm`).
private func nameThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
  guard file >= 0 else { return }
  _ = Array(name.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
  close(file)
}
