// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import Glibc

/// The machine of a peer, as identified by its address: the IPv4 address, or the first 64 bits of the IPv6 address,
/// because one machine may use all addresses with the same prefix.
struct PeerHost: Sendable, Hashable {
  private var isIPv6 = false
  private var bits: UInt64 = 0

  /// The machine at the other end of a socket. All sockets without an internet address have the same value.
  init(of descriptor: Int32) {
    guard let address = SocketAddress.peer(of: descriptor) else { return }
    address.withSockaddr { pointer, length in
      let bytes = UnsafeRawBufferPointer(start: pointer, count: Int(length))
      switch address.family {
      case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
        bits = UInt64(bytes.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr)
      case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
        let ip = bytes.loadUnaligned(as: sockaddr_in6.self).sin6_addr
        withUnsafeBytes(of: ip) { ip in
          // Addresses in ::ffff:0:0/96 are IPv4.
          let isMapped = ip[..<10].allSatisfy { $0 == 0 } && ip[10] == 0xff && ip[11] == 0xff
          isIPv6 = !isMapped
          bits =
            isMapped
            ? UInt64(ip.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
            : ip.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
        }
      default: break
      }
    }
  }
}
