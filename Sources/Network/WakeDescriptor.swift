// CLibevent's shim brings eventfd(2), which Glibc's module does not have.
internal import CLibevent
internal import Glibc

/// A descriptor that becomes readable when a thread is wanted: eventfd(2). Any thread; owns its descriptor.
public final class WakeDescriptor: Sendable {
  public let descriptor: Int32

  public init() throws(NetworkError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    guard descriptor >= 0 else {
      throw NetworkError(.system, "eventfd: \(systemMessage(errno)); raise the limit of open files")
    }
  }

  deinit {
    close(descriptor)
  }

  /// Makes it readable.
  public func signal() {
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// Makes it readable no more.
  public func clear() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}
