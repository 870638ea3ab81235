internal import CLibevent
internal import Core
internal import Glibc

/// An IPv4 or IPv6 address without a port. An IPv4 address that is mapped into IPv6 (`::ffff:0:0/96`) is IPv4.
struct IPAddress: Sendable, Hashable {
  /// 4 or 16 bytes, in network order.
  private let bytes: [UInt8]

  /// Reads an address as it is written in URLs, but without brackets: `127.0.0.1`, `::1`.
  ///
  /// - Parameter text: Four decimal numbers, or an IPv6 address without a zone. Short forms such as `127.1` are none.
  init?(_ text: some StringProtocol) {
    let text = String(text)
    guard !text.utf8.contains(0) else { return nil }
    var v4 = in_addr()
    var v6 = in6_addr()
    if inet_pton(AF_INET, text, &v4) == 1 {
      bytes = withUnsafeBytes(of: v4) { Array($0) }
    } else if inet_pton(AF_INET6, text, &v6) == 1 {
      bytes = withUnsafeBytes(of: v6) { Self.unmapped(Array($0)) }
    } else {
      return nil
    }
  }

  /// The address of a socket's end; nil for a socket that is not of the internet families.
  init?(_ address: SocketAddress) {
    let bytes: [UInt8]? = address.withSockaddr { pointer, length in
      let raw = UnsafeRawBufferPointer(start: pointer, count: Int(length))
      switch address.family {
      case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
        return withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in.self).sin_addr) { Array($0) }
      case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
        return withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { Self.unmapped(Array($0)) }
      default: return nil
      }
    }
    guard let bytes else { return nil }
    self.bytes = bytes
  }

  /// Whether only this machine reaches it: 127.0.0.0/8 or ::1.
  var isLoopback: Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
  }

  private static func unmapped(_ bytes: [UInt8]) -> [UInt8] {
    bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff ? Array(bytes[12...]) : bytes
  }
}

extension HostAndPort {
  /// Whether only this machine reaches it.
  ///
  /// Decided by the address. Of names, only `localhost` can be one, if all that it resolves to are loopback addresses:
  /// what another name resolves to is for a name server to say, and may be another address the next time.
  public var isLoopback: Bool {
    guard host.hasSameBytesIgnoringASCIICase(as: "localhost") else { return IPAddress(host)?.isLoopback == true }
    guard let addresses = try? SocketAddress.resolve(self, passive: true) else { return false }
    return addresses.allSatisfy { IPAddress($0)?.isLoopback == true }
  }
}
