// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// Finds a free port of 127.0.0.1 below the system's ephemeral ports, so that it stays free across a restart.
///
/// - Returns: the port.
/// - Throws: ``TestFailure`` if no free port was found.
public func freePort() throws -> UInt16 {
  for _ in 0..<200 {
    let port = UInt16.random(in: 20_000..<32_000)
    let free = withSocket { atLoopback(port, $0, bind) }
    if free { return port }
  }
  throw TestFailure("no free port found")
}

/// Whether a MongoDB server at this port accepts a connection and replies to `hello` that it is writable.
func answersHello(port: UInt16) -> Bool {
  withSocket { socket in
    var limit = timeval(tv_sec: 2, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(socket, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    guard atLoopback(port, socket, connect),
      send(socket, helloMessage, helloMessage.count, Int32(MSG_NOSIGNAL)) == helloMessage.count
    else { return false }
    var reply: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(socket, &chunk, chunk.count, 0)
      guard count > 0 else { return false }
      reply += chunk[..<count]
      guard reply.count >= 4 else { continue }
      let length = reply[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
      if reply.count >= length { break }
    }
    return reply.contains([0x08] + Array("isWritablePrimary".utf8) + [0, 1])
  }
}

/// An OP_MSG with `{hello: 1, $db: "admin"}`.
private let helloMessage: [UInt8] = {
  let fields = [0x10] + Array("hello".utf8) + [0, 1, 0, 0, 0, 0x02] + Array("$db".utf8) + [0, 6, 0, 0, 0]
  let document = [UInt8(fields.count + 11), 0, 0, 0] + fields + Array("admin".utf8) + [0, 0]
  let body: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 0x07, 0, 0, 0, 0, 0, 0, 0] + document
  return [UInt8(body.count + 4), 0, 0, 0] + body
}()

private func withSocket(_ body: (Int32) -> Bool) -> Bool {
  let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  guard file >= 0 else { return false }
  defer { close(file) }
  return body(file)
}

/// Calls `bind` or `connect` with 127.0.0.1 and a port.
///
/// - Parameters:
///   - port: the port.
///   - socket: the socket.
///   - call: `bind` or `connect`.
/// - Returns: true if the call succeeded.
public func atLoopback(
  _ port: UInt16, _ socket: Int32, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Bool {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      call(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}
