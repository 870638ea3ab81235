public import Core
public import Network
public import RPC
public import TLS

/// A small client that waits, and speaks gRPC over HTTP/2. One thread at a time.
///
/// Here: the connection and its bytes. What nghttp2 reports of frames is in `GRPCClient+Frames.swift`.
public final class GRPCClient: RPCClient {
  public let address: HostAndPort
  public var patienceSeconds = 30.0
  /// Sent with every call, before the call's own: credentials.
  public var metadata = RPCMetadata() {
    didSet { latestHeaders = nil }
  }
  /// What the server's GOAWAY says, or its error code.
  public internal(set) var goAwayReason: String?

  private let session: HTTP2Session
  private let usualService: String
  private let authority: String
  private let isTLS: Bool
  /// Whether the server has said anything yet.
  private var hasHeard = false
  /// Nil once closed.
  private var stream: OutgoingStream?
  private var input = [UInt8](repeating: 0, count: 64 * 1024)
  private var output: [UInt8] = []
  /// Bytes of `output` that are sent.
  private var sent = 0
  /// The server takes nothing any more; what it said before may still come.
  private var hasLostOutput = false

  /// By their ids, which are those of their streams.
  var calls: [Int32: GRPCClientCall] = [:]
  var pongs: Set<UInt64> = []
  /// Of those that are only counted: how many have ended, and how many of them not with OK.
  var endedCount = 0
  var failedCount = 0
  /// Those of the last call that had no timeout and no metadata of its own: the next one is often the same.
  private var latestHeaders: (method: String, list: HTTP2HeaderList)?

  /// Connects, over TLS if there is `tls`: the server's certificate must be for `serverName`, by default the host.
  ///
  /// - Parameters:
  ///   - service: of a method that is called by its bare name.
  ///   - tls: must ask for `h2`.
  ///   - windowBytes: of replies that the server may send ahead of what is read.
  public init(
    _ address: HostAndPort, service: String, tls: TLSContext? = nil, serverName: String? = nil,
    timeoutSeconds: Double = 10, windowBytes: Int = 1024 * 1024
  ) throws(RPCClientError) {
    self.address = address
    usualService = service
    authority = serverName ?? "\(address)"
    isTLS = tls != nil
    do throws(NetworkError) {
      stream = try OutgoingStream(
        to: address, tls: tls, serverName: serverName, deadline: .now.advanced(bySeconds: timeoutSeconds))
    } catch {
      throw RPCClientError(.cannotConnect, "\(address)", error.message)
    }
    session = HTTP2Session(clientWindowBytes: windowBytes)
    if isTLS, stream?.applicationProtocol != "h2" {
      throw problem(.cannotConnect, "did not negotiate HTTP/2 over TLS (ALPN)")
    }
    session.setOwner(self)
  }

  /// Takes over a socket that is connected to `address` and does not block.
  init(adopting descriptor: Int32, of address: HostAndPort, service: String, windowBytes: Int = 1024 * 1024) {
    self.address = address
    usualService = service
    authority = "\(address)"
    isTLS = false
    stream = OutgoingStream(adopting: descriptor)
    session = HTTP2Session(clientWindowBytes: windowBytes)
    session.setOwner(self)
  }

  public func close() {
    stream = nil
  }

  // MARK: Calls

  public func open(_ call: RPCOutgoingCall) throws(RPCClientError) -> UInt32 {
    let id = try submit(call, isCounted: false)
    try flush()
    return id
  }

  /// Opens unary calls at once, whose replies are only counted.
  public func openCounted(_ calls: [RPCOutgoingCall]) throws(RPCClientError) {
    for call in calls { _ = try submit(call, isCounted: true) }
    try flush()
  }

  /// Waits for the replies to `count` calls that were opened to be counted, and says how many of them were not OK.
  public func countReplies(_ count: Int, deadline: MonotonicTime) throws(RPCClientError) -> Int {
    while endedCount < count { try waitForBytes(deadline) }
    defer { (endedCount, failedCount) = (endedCount - count, 0) }
    return failedCount
  }

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

  public func cancel(_ callID: UInt32) throws(RPCClientError) {
    let id = Int32(bitPattern: callID)
    guard let call = calls.removeValue(forKey: id), !call.hasEnded else { return }
    reset(id)
    try flush()
  }

  func reset(_ id: Int32) {
    session.reset(id, .cancel)
  }

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
    let isPlain = call.timeoutMilliseconds == 0 && call.metadata.isEmpty
    if isPlain, let latestHeaders, latestHeaders.method == call.method { return latestHeaders.list }
    var list = HTTP2HeaderList()
    list.append(":method", "POST")
    list.append(":scheme", isTLS ? "https" : "http")
    list.append(":path", call.method.contains("/") ? "/\(call.method)" : "/\(usualService)/\(call.method)")
    list.append(":authority", authority)
    list.append("te", "trailers")
    list.append("content-type", "application/grpc")
    list.append("user-agent", "config-lookup")
    if call.timeoutMilliseconds > 0 {
      list.append("grpc-timeout", isVarying: true) { GRPCText.timeout(milliseconds: call.timeoutMilliseconds, to: &$0) }
    }
    for pair in metadata.pairs + call.metadata.pairs {
      list.append(pair.key, isVarying: true) { $0.append(contentsOf: pair.value.utf8) }
    }
    if isPlain { latestHeaders = (call.method, list) }
    return list
  }

  // MARK: Bytes

  /// Waits until something has come, and takes it.
  private func waitForBytes(_ deadline: MonotonicTime) throws(RPCClientError) {
    try flush()
    if session.isOver {
      // nghttp2 reads no further: all calls have ended after a GOAWAY, or the server broke a rule and was told so.
      throw goAwayReason == nil ? problem(.malformed, "violated the rules of HTTP/2") : lost("")
    }
    while try !receive() {
      guard stream?.wait(writable: false, deadline: deadline) == true else {
        throw problem(.timedOut, "no reply in time")
      }
    }
    // Answers to what came: windows, settings, signs of life.
    try flush()
  }

  /// Reads once, without waiting. False if there was nothing.
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

  /// Sends what is queued. Reads meanwhile what comes, so that two sides that both write do not wait for each other.
  private func flush() throws(RPCClientError) {
    while fillOutput() {
      guard let stream else { throw lost("the connection has been closed") }
      switch output.withUnsafeBytes({ stream.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }) {
      case .count(0):
        guard stream.wait(writable: true, deadline: .now.advanced(bySeconds: patienceSeconds)) else {
          throw problem(.timedOut, "read no bytes for \(patienceSeconds) s")
        }
        _ = try receive()
      case .count(let count): sent += count
      // What the server said before it closed is still to be read: replies, or why.
      case .lost: hasLostOutput = true
      }
    }
  }

  /// Whether there is anything to send.
  private func fillOutput() -> Bool {
    guard !hasLostOutput else { return false }
    if sent < output.count { return true }
    output.removeAll(keepingCapacity: true)
    sent = 0
    while output.count < Limits.clientOutputBytes, let bytes = session.nextOutput() { output.append(contentsOf: bytes) }
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
