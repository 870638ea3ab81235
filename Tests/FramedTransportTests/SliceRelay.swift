// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import Glibc
import TestSupport

/// A relay that accepts one connection and forwards it to a server. In both directions the bytes are sent in slices of
/// a given size, each by its own `send`.
final class SliceRelay {
  let address: HostAndPort
  private let threads: [OSThread]
  private let listener: Int32

  init(to server: HostAndPort, sliceBytes: Int) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    self.listener = listener
    guard listener >= 0, atLoopback(0, listener, bind), listen(listener, 1) == 0 else {
      throw TestFailure("no listener")
    }
    var own = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isNamed = withUnsafeMutablePointer(to: &own) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) == 0 }
    }
    guard isNamed else { throw TestFailure("no address") }
    address = HostAndPort(host: "127.0.0.1", port: UInt16(bigEndian: own.sin_port))
    let other = try connectSocket(to: server, deadline: ConfigLookupCore.MonotonicTime.now.advanced(by: .seconds(120)))
    threads = [
      OSThread(name: "relay") {
        let client = accept(listener, nil, nil)
        let back = OSThread(name: "relay back") { forward(other, client, sliceBytes) }
        forward(client, other, sliceBytes)
        back.join()
        close(client)
        close(other)
      }
    ]
  }

  deinit {
    // This ends a thread that still waits for a client.
    shutdown(listener, Int32(SHUT_RDWR))
    for thread in threads { thread.join() }
    close(listener)
  }
}

/// Forwards bytes until the end of `from`, and then closes the sending side of `to`.
private func forward(_ from: Int32, _ to: Int32, _ sliceBytes: Int) {
  var one: Int32 = 1
  setsockopt(to, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
  var buffer = [UInt8](repeating: 0, count: 4096)
  let deadline = MonotonicTime.now.advanced(by: .seconds(60))
  while waitForSocket(from, writable: false, deadline: deadline) {
    let count = read(from, &buffer, buffer.count)
    if count < 0, errno == EAGAIN || errno == EINTR { continue }
    guard count > 0 else { break }
    var start = 0
    while start < count, waitForSocket(to, writable: true, deadline: deadline) {
      let end = min(start + sliceBytes, count)
      let sent = buffer.withUnsafeBytes {
        send(to, $0.baseAddress.map { $0 + start }, end - start, Int32(MSG_NOSIGNAL))
      }
      if sent < 0, errno != EAGAIN, errno != EINTR { break }
      start += max(0, sent)
    }
  }
  shutdown(to, Int32(SHUT_WR))
}
