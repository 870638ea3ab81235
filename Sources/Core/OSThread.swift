internal import Glibc

/// A thread of the operating system: for work that blocks (libmongoc) or that owns an event loop.
///
/// Must be joined before it is let go.
public final class OSThread: @unchecked Sendable {
  // Safe to share: `handle` is written in `init` only; `joined` only by the one caller of `join()`.
  private var handle = pthread_t()
  private var joined = false

  /// Starts a thread. `name` is cut to the 15 bytes that Linux keeps.
  public init(name: String, _ body: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(ThreadStart(name: String(name.prefix(15)), body: body))
    let code = pthread_create(&handle, nil, runThread, start.toOpaque())
    precondition(code == 0, "pthread_create failed with \(code)")
  }

  deinit {
    precondition(joined, "a thread must be joined")
  }

  /// Waits for the end of the thread. To be called once, by its owner.
  public func join() {
    pthread_join(handle, nil)
    joined = true
  }
}

/// Starts a thread that nobody waits for: it must hold all that it uses.
public func detachThread(name: String, _ body: @escaping @Sendable () -> Void) {
  var handle = pthread_t()
  let start = Unmanaged.passRetained(ThreadStart(name: String(name.prefix(15)), body: body))
  let code = pthread_create(&handle, nil, runThread, start.toOpaque())
  precondition(code == 0, "pthread_create failed with \(code)")
  pthread_detach(handle)
}

private final class ThreadStart: Sendable {
  let name: String
  let body: @Sendable () -> Void

  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
  nameThread(start.name)
  start.body()
  return nil
}

/// Swift does not see `pthread_setname_np`; the kernel takes the name from a file as well (proc(5), `comm`).
private func nameThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
  guard file >= 0 else { return }
  _ = Array(name.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
  close(file)
}
