// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC
public import ConfigLookupTLS

/// A small blocking client for gRPC over HTTP/2. It may be used by one thread at a time.
///
/// This file has the connection and its bytes. The callbacks of nghttp2 are in `GRPCClient+Frames.swift`.
public final class GRPCClient: RPCClient {
  /// The address of the server.
  public let address: HostAndPort
  /// The time that a call without a timeout waits, and that a write may take.
  public var callTimeout = Duration.seconds(30)
  /// Metadata that are sent with every call before the call's own, such as credentials.
  public var metadata = RPCMetadata() {
    didSet { latestHeaders = nil }
  }
  /// The reason in the server's GOAWAY, or the name of its error code; nil if none has been received.
  public internal(set) var goAwayReason: String?

  private let session: HTTP2Session
  private let usualService: String
  private let authority: String
  private let isTLS: Bool
  /// Whether the server has sent any byte.
  private var hasHeard = false
  /// Nil after the connection has been closed.
  private var stream: OutgoingStream?
  private var input = [UInt8](repeating: 0, count: 64 * 1024)
  private var output: [UInt8] = []
  /// Number of bytes of `output` that have been sent.
  private var sent = 0
  /// Whether writing has failed. Bytes that the server sent before that may still be read.
  private var hasLostOutput = false

  /// The open calls by their ids, which are the ids of their HTTP/2 streams.
  var calls: [Int32: GRPCClientCall] = [:]
  var pongs: Set<UInt64> = []
  /// Of the calls whose replies are only counted: the number that have ended, and the number that ended with a status
  /// other than OK.
  var endedCount = 0
  var failedCount = 0
  /// The headers of the last call without a timeout and without its own metadata. The next call often has the same
  /// headers.
  private var latestHeaders: (method: String, list: HTTP2HeaderList)?

  /// Connects to a server.
  ///
  /// - Parameters:
  ///   - address: The address of the server.
  ///   - service: The full name of the service of methods that are called without one.
  ///   - tls: The TLS configuration, which must offer `h2` by ALPN; nil for cleartext.
  ///   - serverName: The name for which the server's certificate must be valid; nil for the host of the address.
  ///   - connectTimeout: Maximum time to establish the connection, TLS handshake included.
  ///   - windowBytes: Maximum number of bytes of replies that the server may send before the client has read them.
  /// - Throws: If the connection cannot be established, or the server does not select HTTP/2 over TLS.
  public init(
    _ address: HostAndPort, service: String, tls: TLSContext? = nil, serverName: String? = nil,
    connectTimeout: Duration = .seconds(10), windowBytes: Int = 1024 * 1024
  ) throws(RPCClientError) {
    self.address = address
    usualService = service
    authority = serverName ?? "\(address)"
    isTLS = tls != nil
    do throws(NetworkError) {
      stream = try OutgoingStream(
        to: address, tls: tls, serverName: serverName, deadline: .now.advanced(by: connectTimeout))
    } catch {
      throw RPCClientError(.cannotConnect, "\(address)", error.message)
    }
    session = HTTP2Session(clientWindowBytes: windowBytes)
    if isTLS, stream?.applicationProtocol != "h2" {
      throw problem(.cannotConnect, "did not negotiate HTTP/2 over TLS (ALPN)")
    }
    session.setOwner(self)
  }

  /// Takes over a non-blocking socket that is connected to `address`.
  init(adopting descriptor: Int32, of address: HostAndPort, service: String, windowBytes: Int = 1024 * 1024) {
    self.address = address
    usualService = service
    authority = "\(address)"
    isTLS = false
    stream = OutgoingStream(adopting: descriptor)
    session = HTTP2Session(clientWindowBytes: windowBytes)
    session.setOwner(self)
  }

  /// Closes the connection, and ends all open calls.
  public func close() {
    stream = nil
  }

  // MARK: Calls

  /// Sends a call.
  ///
  /// - Parameter call: The call.
  /// - Returns: The id of the call, for ``nextReply(_:deadline:)`` and ``cancel(_:)``.
  /// - Throws: If the server has sent a GOAWAY, the connection is lost, or it has no stream ids left.
  public func open(_ call: RPCOutgoingCall) throws(RPCClientError) -> UInt32 {
    let id = try submit(call, isCounted: false)
    try flush()
    return id
  }

  /// Opens several unary calls in one write. Their replies are counted and discarded.
  ///
  /// - Parameter calls: The calls.
  /// - Throws: If the server has sent a GOAWAY, the connection is lost, or it has no stream ids left.
  public func openCounted(_ calls: [RPCOutgoingCall]) throws(RPCClientError) {
    for call in calls { _ = try submit(call, isCounted: true) }
    try flush()
  }

  /// Waits for the replies to calls that ``openCounted(_:)`` opened.
  ///
  /// - Parameters:
  ///   - count: The number of replies to wait for.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Returns: The number of these replies whose status is not OK.
  /// - Throws: If the connection is lost, or too few replies are received before the deadline.
  public func countReplies(_ count: Int, deadline: MonotonicTime) throws(RPCClientError) -> Int {
    while endedCount < count { try waitForBytes(deadline) }
    defer { (endedCount, failedCount) = (endedCount - count, 0) }
    return failedCount
  }

  /// Waits for the next reply to an open call. The last reply has `more` false.
  ///
  /// - Parameters:
  ///   - callID: The id that ``open(_:)`` returned.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Returns: The reply, which may have an error status.
  /// - Throws: If the call is not open, the connection is lost, or no reply is received before the deadline.
  public func nextReply(_ callID: UInt32, deadline: MonotonicTime) throws(RPCClientError) -> RPCClientReply {
    guard let call = calls[Int32(bitPattern: callID)] else {
      throw problem(.timedOut, "no call \(callID) is open to receive a reply")
    }
    while true {
      if let reply = call.nextReply() {
        if !reply.more { calls[Int32(bitPattern: callID)] = nil }
        return reply
      }
      try waitForBytes(deadline)
    }
  }

  /// Cancels a call, if it is open.
  ///
  /// - Parameter callID: The id that ``open(_:)`` returned.
  /// - Throws: If the connection is lost.
  public func cancel(_ callID: UInt32) throws(RPCClientError) {
    let id = Int32(bitPattern: callID)
    guard let call = calls.removeValue(forKey: id), !call.hasEnded else { return }
    reset(id)
    try flush()
  }

  func reset(_ id: Int32) {
    session.reset(id, .cancel)
  }

  /// Sends a PING and waits for its acknowledgement.
  ///
  /// - Parameters:
  ///   - nonce: The payload of the PING.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Throws: If the connection is lost, or the acknowledgement is not received before the deadline.
  public func ping(_ nonce: UInt64, deadline: MonotonicTime) throws(RPCClientError) {
    session.submitPing(nonce)
    try flush()
    while pongs.remove(nonce) == nil { try waitForBytes(deadline) }
  }

  private func submit(_ call: RPCOutgoingCall, isCounted: Bool) throws(RPCClientError) -> UInt32 {
    if let goAwayReason { throw problem(.goAway, "the server closes the connection: \(goAwayReason)") }
    guard let id = session.submitRequest(headers(call)) else {
      throw problem(.connectionLost, "no further call can be made on this connection")
    }
    calls[id] = GRPCClientCall(call, isCounted: isCounted)
    return UInt32(id)
  }

  private func headers(_ call: RPCOutgoingCall) -> HTTP2HeaderList {
    let isPlain = call.timeout == nil && call.metadata.isEmpty
    if isPlain, let latestHeaders, latestHeaders.method == call.method { return latestHeaders.list }
    var list = HTTP2HeaderList()
    list.append(":method", "POST")
    list.append(":scheme", isTLS ? "https" : "http")
    list.append(":path", call.method.contains("/") ? "/\(call.method)" : "/\(usualService)/\(call.method)")
    list.append(":authority", authority)
    list.append("te", "trailers")
    list.append("content-type", "application/grpc")
    list.append("user-agent", "config-lookup")
    if let timeout = call.timeout {
      list.append("grpc-timeout", isVarying: true) { GRPCText.timeout(timeout, to: &$0) }
    }
    for pair in metadata.pairs + call.metadata.pairs {
      list.append(pair.key, isVarying: true) { $0.append(contentsOf: pair.value.utf8) }
    }
    if isPlain { latestHeaders = (call.method, list) }
    return list
  }

  // MARK: Bytes

  /// Waits until bytes have been received, and processes them.
  private func waitForBytes(_ deadline: MonotonicTime) throws(RPCClientError) {
    try flush()
    if session.isOver {
      // nghttp2 reads no further, either because all calls have ended after a GOAWAY, or because the server violated
      // the protocol and has been notified of that.
      throw goAwayReason == nil ? problem(.malformed, "violated the rules of HTTP/2") : lost("")
    }
    while try !receive() {
      guard stream?.wait(writable: false, deadline: deadline) == true else {
        throw problem(.timedOut, "no reply in time")
      }
    }
    // Sends the frames that respond to what was received: window updates, acknowledgements of SETTINGS and PING.
    try flush()
  }

  /// Reads once, without waiting. Returns false if no byte was available.
  private func receive() throws(RPCClientError) -> Bool {
    guard let stream else { throw lost("the connection has been closed") }
    let outcome = input.withUnsafeMutableBytes { stream.read(into: $0) }
    switch outcome {
    case .count(0): return false
    case .count(let count):
      hasHeard = true
      let isSound = input.withUnsafeBytes { session.receive(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      guard isSound else { throw problem(.malformed, "sent bytes that are not HTTP/2") }
      return true
    case .lost(let reason): throw lost(reason)
    }
  }

  /// Sends what is queued. Received bytes are processed in the meantime, so that two sides that both write do not block
  /// each other.
  private func flush() throws(RPCClientError) {
    while fillOutput() {
      guard let stream else { throw lost("the connection has been closed") }
      switch output.withUnsafeBytes({ stream.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }) {
      case .count(0):
        guard stream.wait(writable: true, deadline: .now.advanced(by: callTimeout)) else {
          throw problem(.timedOut, "read no bytes for \(callTimeout.seconds) s")
        }
        _ = try receive()
      case .count(let count): sent += count
      // The bytes that the server sent before it closed the connection must still be read: replies, or the reason.
      case .lost: hasLostOutput = true
      }
    }
  }

  /// Returns whether there is anything to send.
  private func fillOutput() -> Bool {
    guard !hasLostOutput else { return false }
    if sent < output.count { return true }
    output.removeAll(keepingCapacity: true)
    sent = 0
    while output.count < GRPCLimits.clientOutputBytes, let bytes = session.nextOutput() {
      output.append(contentsOf: bytes)
    }
    return !output.isEmpty
  }

  private func problem(_ code: RPCClientError.Code, _ text: String) -> RPCClientError {
    RPCClientError(code, "\(address)", text)
  }

  private func lost(_ text: String) -> RPCClientError {
    if let goAwayReason { return problem(.goAway, "the server closes the connection: \(goAwayReason)") }
    return problem(.connectionLost, hasHeard || isTLS ? text : "\(text) before it sent anything; it may require TLS")
  }
}
