// SPDX-License-Identifier: Apache-2.0
// CLibevent's shim declares eventfd(2), which Glibc's module does not.
internal import CLibevent
internal import Glibc

/// A descriptor that becomes readable when it is signalled, to wake a thread: eventfd(2). It owns its descriptor and
/// may be used from any thread.
public final class WakeDescriptor: Sendable {
  /// The descriptor, for poll(2) or an event loop.
  public let descriptor: Int32

  /// Creates a descriptor that is not readable.
  ///
  /// - Throws: If no descriptor is available.
  public init() throws(NetworkError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    guard descriptor >= 0 else {
      throw NetworkError(.system, "eventfd: \(systemMessage(errno)); raise the limit of open files")
    }
  }

  deinit {
    close(descriptor)
  }

  /// Makes the descriptor readable.
  public func signal() {
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// Makes the descriptor unreadable again.
  public func clear() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}
