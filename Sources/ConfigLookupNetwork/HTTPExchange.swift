// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupTLS

/// An HTTP/1.1 request on its own connection, with its reply. It may be used on any thread except that of an event
/// loop.
public struct HTTPExchange {
  /// The status of a reply, and its body up to the limit.
  public struct Reply: Sendable {
    /// The HTTP status code.
    public let status: Int
    /// The bytes of the body.
    public let body: [UInt8]
  }

  private let address: HostAndPort
  private let peer: String
  private let method: String
  private let path: String
  private let headers: [(name: String, value: String)]
  private let bodyLimit: Int

  /// Creates a request.
  ///
  /// - Parameters:
  ///   - method: The HTTP method.
  ///   - path: The path, with the query if there is one.
  ///   - address: The address of the server.
  ///   - peer: A name for the server in messages, such as `the collector`.
  ///   - headers: The headers in addition to `host`, `content-length` and `connection`.
  ///   - bodyLimit: Maximum number of bytes of the reply's body to read. With 0 the exchange ends after the status.
  public init(
    _ method: String, _ path: String, to address: HostAndPort, peer: String,
    headers: [(name: String, value: String)] = [], bodyLimit: Int = 0
  ) {
    self.method = method
    self.path = path
    self.address = address
    self.peer = peer
    self.headers = headers
    self.bodyLimit = bodyLimit
  }

  /// Sends the request and waits for the reply.
  ///
  /// - Parameters:
  ///   - body: The body of the request.
  ///   - tls: The TLS configuration; nil for cleartext.
  ///   - serverName: The name for which the server's certificate must be valid; nil for the host of the address.
  ///   - connectDeadline: The time by which the connection must be established; nil for `deadline`.
  ///   - deadline: The time by which the reply must have been received.
  ///   - isCancelled: Called several times per second during a wait; the exchange ends if it returns true.
  /// - Returns: The reply, which may have an error status.
  /// - Throws: If no reply is received.
  public func send(
    _ body: [UInt8] = [], tls: TLSContext? = nil, serverName: String? = nil, connectDeadline: MonotonicTime? = nil,
    deadline: MonotonicTime, isCancelled: () -> Bool = { false }
  ) throws(NetworkError) -> Reply {
    let stream = try OutgoingStream(
      to: address, tls: tls, serverName: serverName, deadline: min(deadline, connectDeadline ?? deadline))
    let wait = { (writable: Bool) throws(NetworkError) in
      try self.wait(stream, writable: writable, deadline, isCancelled)
    }
    try write(head(body.count) + body, to: stream, wait)
    return try read(stream, wait)
  }

  private func head(_ length: Int) -> [UInt8] {
    var text = "\(method) \(path) HTTP/1.1\r\nhost: \(address)\r\nconnection: close\r\n"
    if length > 0 { text += "content-length: \(length)\r\n" }
    for header in headers { text += "\(header.name): \(header.value)\r\n" }
    return Array((text + "\r\n").utf8)
  }

  private func write(
    _ bytes: [UInt8], to stream: OutgoingStream, _ wait: (_ writable: Bool) throws(NetworkError) -> Void
  ) throws(NetworkError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      switch rest.withUnsafeBytes({ stream.write($0) }) {
      case .count(0): try wait(true)
      case .count(let count): rest = rest.dropFirst(count)
      case .lost(let problem): throw self.problem("\(peer) \(problem)")
      }
    }
  }

  private func read(
    _ stream: OutgoingStream, _ wait: (_ writable: Bool) throws(NetworkError) -> Void
  ) throws(NetworkError) -> Reply {
    var reply: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while reply.count < ConnectionLimits.replyHeadBytes + bodyLimit {
      switch chunk.withUnsafeMutableBytes({ stream.read(into: $0) }) {
      case .count(0): try wait(false)
      case .count(let count): reply += chunk[..<count]
      case .lost(let problem):
        // Without a length, the end of the connection marks the end of the body.
        guard bodyLimit > 0, let (head, body) = try parse(reply), head.length == nil else {
          throw self.problem("\(peer) \(problem)")
        }
        return Reply(status: head.status, body: Array(body.prefix(bodyLimit)))
      }
      guard let (head, body) = try parse(reply) else { continue }
      if bodyLimit == 0 { return Reply(status: head.status, body: []) }
      let wanted = min(head.length ?? .max, bodyLimit)
      if body.count >= wanted { return Reply(status: head.status, body: Array(body.prefix(wanted))) }
    }
    throw problem("the reply is not HTTP/1.1")
  }

  private struct Head {
    let status: Int
    /// The length of the body; nil if the reply does not state it.
    let length: Int?
  }

  /// The head, and the part of the body that has been received; nil if more bytes are needed. If no body is requested,
  /// the status line is enough.
  private func parse(_ reply: [UInt8]) throws(NetworkError) -> (Head, ArraySlice<UInt8>)? {
    guard let lineEnd = reply.firstIndex(of: UInt8(ascii: "\r")) else { return nil }
    let words = reply[..<lineEnd].split(separator: UInt8(ascii: " "))
    guard words.count >= 2, words[0].starts(with: "HTTP/1.".utf8),
      let status = Int(String(decoding: words[1], as: UTF8.self))
    else { throw problem("the reply is not HTTP/1.1") }
    if bodyLimit == 0 { return (Head(status: status, length: nil), []) }
    guard let end = reply.firstRange(of: "\r\n\r\n".utf8) else { return nil }
    var length: Int?
    for line in reply[..<end.lowerBound].split(separator: UInt8(ascii: "\n")).dropFirst() {
      let parts = String(decoding: line, as: UTF8.self).split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].lowercased() == "content-length" else { continue }
      length = Int(parts[1].filter(\.isNumber))
    }
    return (Head(status: status, length: length), reply[end.upperBound...])
  }

  private func wait(
    _ stream: OutgoingStream, writable: Bool, _ deadline: MonotonicTime, _ isCancelled: () -> Bool
  ) throws(NetworkError) {
    while true {
      guard !isCancelled() else { throw problem("cancelled") }
      let look = min(deadline, .now.advanced(by: ConnectionLimits.cancellationCheckInterval))
      if stream.wait(writable: writable, deadline: look) { return }
      guard MonotonicTime.now < deadline else { throw problem("\(peer) did not reply in time") }
    }
  }

  private func problem(_ text: String) -> NetworkError {
    NetworkError(.system, "\"\(address)\": \(text)")
  }
}
