public import Core

/// A client that waits, whatever protocol it speaks: for the command line, for tests and for benchmarks. One thread at
/// a time.
///
/// Many calls may be open at once; replies to another call than the one asked for are kept until they are asked for.
public protocol RPCClient: AnyObject {
  /// Seconds that a call without a timeout waits, and that a write may take.
  var patienceSeconds: Double { get set }
  /// Why the server takes no new calls, once it has said so.
  var goAwayReason: String? { get }

  /// Sends a call, and gives its id for ``nextReply(_:deadline:)`` and ``cancel(_:)``.
  func open(_ call: RPCOutgoingCall) throws(RPCClientError) -> UInt32

  /// The next reply to an open call. The last one has `more` false.
  func nextReply(_ callID: UInt32, deadline: MonotonicTime) throws(RPCClientError) -> RPCClientReply

  /// Tells the server that nobody waits for the call any more.
  func cancel(_ callID: UInt32) throws(RPCClientError)

  /// Asks the server for a sign of life and waits for it.
  func ping(_ nonce: UInt64, deadline: MonotonicTime) throws(RPCClientError)

  /// Closes the connection; what is open ends with it.
  func close()
}

extension RPCClient {
  /// Makes a unary call and waits for its reply: as long as the call's timeout and a second, or as long as the
  /// patience.
  public func call(
    _ method: String, _ request: [UInt8] = [], timeoutMilliseconds: UInt32 = 0, metadata: RPCMetadata = RPCMetadata()
  ) throws(RPCClientError) -> RPCClientReply {
    let id = try openCall(method, request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata)
    let seconds = timeoutMilliseconds == 0 ? patienceSeconds : Double(timeoutMilliseconds) / 1000 + 1
    return try nextReply(id, deadline: .now.advanced(bySeconds: seconds))
  }

  /// Opens a unary call: it has one reply, with `more` false.
  public func openCall(
    _ method: String, _ request: [UInt8] = [], timeoutMilliseconds: UInt32 = 0, metadata: RPCMetadata = RPCMetadata()
  ) throws(RPCClientError) -> UInt32 {
    try open(
      RPCOutgoingCall(method, request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata, isStream: false))
  }

  /// Opens a call with a stream of replies: each has `more` true, but for the last, which is the end and holds nothing.
  public func openStream(
    _ method: String, _ request: [UInt8] = [], timeoutMilliseconds: UInt32 = 0, metadata: RPCMetadata = RPCMetadata()
  ) throws(RPCClientError) -> UInt32 {
    try open(
      RPCOutgoingCall(method, request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata, isStream: true))
  }
}

/// A call as a client sends it.
public struct RPCOutgoingCall: Sendable {
  /// `GetPrompt`, of the service that is the client's usual one; or with its service, `grpc.health.v1.Health/Check`.
  public var method: String
  public var request: [UInt8]
  /// 0: none.
  public var timeoutMilliseconds: UInt32
  public var metadata: RPCMetadata
  /// Whether there is a stream of replies, and not one.
  public var isStream: Bool

  public init(
    _ method: String, _ request: [UInt8], timeoutMilliseconds: UInt32 = 0, metadata: RPCMetadata = RPCMetadata(),
    isStream: Bool
  ) {
    self.method = method
    self.request = request
    self.timeoutMilliseconds = timeoutMilliseconds
    self.metadata = metadata
    self.isStream = isStream
  }
}

/// A reply as a client keeps it.
public struct RPCClientReply: Sendable, Hashable {
  public var status: RPCStatus
  /// Further replies to the call follow.
  public var more: Bool
  public var payload: [UInt8]
  public var metadata: RPCMetadata

  public init(
    status: RPCStatus, more: Bool = false, payload: [UInt8] = [], metadata: RPCMetadata = RPCMetadata()
  ) {
    self.status = status
    self.more = more
    self.payload = payload
    self.metadata = metadata
  }
}
