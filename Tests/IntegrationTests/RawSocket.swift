internal import Core
internal import Glibc
internal import Network
internal import TestSupport

/// A connection that does what it is told, wrong or not.
final class RawSocket {
  private let descriptor: Int32
  private var isOpen = true

  init(_ address: HostAndPort) throws {
    descriptor = try connectSocket(to: address, deadline: soon())
  }

  deinit { close() }

  func close() {
    if isOpen { Glibc.close(descriptor) }
    isOpen = false
  }

  /// Keeps the peer's bytes in few places but its own.
  func shrinkReceiveBuffer() {
    var size: Int32 = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
  }

  /// Sends what the socket takes without waiting, and says how much that was: nil once the connection is gone.
  func sendSome(_ bytes: [UInt8]) -> Int? {
    let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    return count >= 0 ? count : errno == EAGAIN || errno == EINTR ? 0 : nil
  }

  /// Sends until the peer takes no more: until no byte has left for `seconds`, or `limit` have. Gives the number.
  func sendUntilStuck(_ block: [UInt8], limit: Int, seconds: Double = 0.5) throws -> Int {
    var total = 0
    var offset = 0
    var deadline = soon(seconds)
    while total < limit, MonotonicTime.now < deadline {
      guard let count = sendSome(Array(block[offset...])) else { throw TestFailure("cut after \(total) bytes") }
      total += count
      offset = (offset + count) % block.count
      if count > 0 { deadline = soon(seconds) } else { usleep(1000) }
    }
    return total
  }

  /// The connection is reset when it closes: the peer's bytes are thrown away.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }
}
