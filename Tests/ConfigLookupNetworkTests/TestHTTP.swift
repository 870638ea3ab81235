// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupTLS
internal import Glibc
internal import TestSupport

/// The routes of the server under test.
let routes: [String: OperationsRoute] = [
  "/hello": OperationsRoute(.get) { .json("{\"query\":\"\($0.query ?? "")\"}") },
  "/length": OperationsRoute(.post) {
    OperationsReply(status: 202, contentType: "text/plain", body: "\($0.body.count)")
  },
  "/large": OperationsRoute(.get) { _ in .json(String(repeating: "x", count: 1_000_000)) },
]

struct TestHTTP {
  let http: OperationsHTTP

  func connect() throws -> RawSocket {
    try RawSocket(http.address.hostAndPort)
  }

  /// Sends the text on a new connection, and reads until the server closes it.
  func ask(_ text: String) throws -> String {
    let socket = try connect()
    socket.send(text)
    return try socket.readToEnd()
  }
}

/// Runs a server on a free port, and stops it at the end.
func withServer(
  host: String = "127.0.0.1", limits: OperationsLimits = OperationsLimits(), report: LimitReport = LimitReport(),
  _ body: (TestHTTP) throws -> Void
) throws {
  let http = try OperationsHTTP(
    HostAndPort(host: host, port: 0), routes: routes, limits: limits,
    allowedHosts: ["x"].compactMap(HTTPRequestGuard.AllowedHost.init), report: report)
  defer { http.stop() }
  try body(TestHTTP(http: http))
}

/// A socket on which a test can send any bytes.
final class RawSocket {
  private var descriptor: Int32
  private var unread = ""

  init(_ address: HostAndPort) throws {
    descriptor = try connectSocket(to: address, deadline: .now.advanced(by: .seconds(120)))
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Closes the connection so that the peer's next write fails.
  func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends until everything is sent, or the peer accepts no more.
  func send(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty, waitForSocket(descriptor, writable: true, deadline: .now.advanced(by: .seconds(120))) {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count >= 0 || errno == EAGAIN else { return }
      rest = rest.dropFirst(max(0, count))
    }
  }

  func hasInput(within duration: Duration) -> Bool {
    waitForSocket(descriptor, writable: false, deadline: .now.advanced(by: duration))
  }

  /// Whether the peer has not closed the connection.
  var isOpen: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK))
    return count > 0 || (count < 0 && errno == EAGAIN)
  }

  /// Reads up to the end of `mark`.
  func read(through mark: String) throws -> String {
    while true {
      if let end = unread.firstRange(of: mark)?.upperBound {
        defer { unread = String(unread[end...]) }
        return String(unread[..<end])
      }
      guard let more = try readSome() else { throw TestFailure("closed after: \(unread)") }
      unread += more
    }
  }

  /// Reads until the peer closes or resets the connection.
  func readToEnd() throws -> String {
    while let more = try readSome() { unread += more }
    defer { unread = "" }
    return unread
  }

  private func readSome() throws -> String? {
    guard hasInput(within: .seconds(20)) else { throw TestFailure("nothing to read after: \(unread.prefix(500))") }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}

extension TestHTTP {
  /// Sends the text over TLS, and reads until the server closes the connection.
  func ask(_ text: String, _ tls: TLSContext) throws -> String {
    let stream = try OutgoingStream(to: http.address.hostAndPort, tls: tls, deadline: soon())
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      guard case .count(let count) = rest.withUnsafeBytes({ stream.write($0) }) else { throw TestFailure("not sent") }
      rest = rest.dropFirst(count)
      if count == 0, !stream.wait(writable: true, deadline: soon()) { throw TestFailure("not taken") }
    }
    var reply: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      switch buffer.withUnsafeMutableBytes({ stream.read(into: $0) }) {
      case .count(let count):
        reply += buffer[..<count]
        if count == 0, !stream.wait(writable: false, deadline: soon()) { throw TestFailure("no end") }
      case .lost(let reason):
        guard !reply.isEmpty else { throw TestFailure(reason) }
        return String(decoding: reply, as: UTF8.self)
      }
    }
  }
}
