// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupCore
internal import Glibc

/// An IPv4 or IPv6 address without a port. An IPv4 address that is mapped into IPv6 (`::ffff:0:0/96`) is treated as
/// IPv4.
struct IPAddress: Sendable, Hashable {
  /// The 4 or 16 bytes, in network byte order.
  private let bytes: [UInt8]

  /// Reads an address as in a URL, but without brackets: `127.0.0.1`, `::1`.
  ///
  /// - Parameter text: Four decimal numbers, or an IPv6 address without a zone. Short forms such as `127.1` are
  ///   rejected.
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

  /// The address of one end of a socket; nil for a socket that is neither IPv4 nor IPv6.
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

  /// Whether the address is reachable from this machine only: 127.0.0.0/8 or ::1.
  var isLoopback: Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
  }

  private static func unmapped(_ bytes: [UInt8]) -> [UInt8] {
    bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff ? Array(bytes[12...]) : bytes
  }
}

extension HostAndPort {
  /// Whether the address is reachable from this machine only.
  ///
  /// The decision is based on the address. The only name that can be a loopback name is `localhost`, if all addresses
  /// to which it resolves are loopback addresses. The address of any other name depends on a name server, and may
  /// change at any time.
  public var isLoopback: Bool {
    guard host.hasSameBytesIgnoringASCIICase(as: "localhost") else { return IPAddress(host)?.isLoopback == true }
    guard let addresses = try? SocketAddress.resolve(self, passive: true) else { return false }
    return addresses.allSatisfy { IPAddress($0)?.isLoopback == true }
  }
}
