// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A blocking client for any of the protocols, for the command line, tests and benchmarks. It may be used by one thread
/// at a time.
///
/// Many calls may be open at once. A reply to a call other than the requested one is kept until it is requested.
public protocol RPCClient: AnyObject {
  /// The time that a call without a timeout waits, and that a write may take.
  var callTimeout: Duration { get set }
  /// The reason for which the server accepts no new calls; nil if it has not announced one.
  var goAwayReason: String? { get }

  /// Sends a call.
  ///
  /// - Parameter call: The call.
  /// - Returns: The id of the call, for ``nextReply(_:deadline:)`` and ``cancel(_:)``.
  /// - Throws: If the connection is lost or does not accept the call.
  func open(_ call: RPCOutgoingCall) throws(RPCClientError) -> UInt32

  /// Waits for the next reply to an open call. The last reply has `more` false.
  ///
  /// - Parameters:
  ///   - callID: The id that ``open(_:)`` returned.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Returns: The reply, which may have an error status.
  /// - Throws: If no reply can be received, or none is received before the deadline.
  func nextReply(_ callID: UInt32, deadline: MonotonicTime) throws(RPCClientError) -> RPCClientReply

  /// Cancels a call.
  ///
  /// - Parameter callID: The id that ``open(_:)`` returned.
  /// - Throws: If the connection is lost.
  func cancel(_ callID: UInt32) throws(RPCClientError)

  /// Sends a ping to the server and waits for the reply.
  ///
  /// - Parameters:
  ///   - nonce: The value that the reply must repeat.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Throws: If the reply is not received before the deadline.
  func ping(_ nonce: UInt64, deadline: MonotonicTime) throws(RPCClientError)

  /// Closes the connection, and ends all open calls.
  func close()
}

extension RPCClient {
  /// Makes a unary call and waits for its reply. The wait lasts at most one second longer than the call's timeout or,
  /// if the call has none, ``callTimeout``.
  ///
  /// - Parameters:
  ///   - method: The name of the method.
  ///   - request: The encoded request message.
  ///   - timeout: The timeout, in whole milliseconds, at least 1; nil for none.
  ///   - metadata: The metadata of the call.
  /// - Returns: The reply, which may have an error status.
  /// - Throws: If no reply can be received in time.
  public func call(
    _ method: String, _ request: [UInt8] = [], timeout: Duration? = nil, metadata: RPCMetadata = RPCMetadata()
  ) throws(RPCClientError) -> RPCClientReply {
    let id = try openCall(method, request, timeout: timeout, metadata: metadata)
    let deadline = timeout.map { MonotonicTime.now.advanced(by: $0).advanced(by: .seconds(1)) }
    return try nextReply(id, deadline: deadline ?? .now.advanced(by: callTimeout))
  }

  /// Opens a unary call. It has one reply, with `more` false.
  ///
  /// - Parameters:
  ///   - method: The name of the method.
  ///   - request: The encoded request message.
  ///   - timeout: The timeout, in whole milliseconds, at least 1; nil for none.
  ///   - metadata: The metadata of the call.
  /// - Returns: The id of the call.
  /// - Throws: If the connection is lost or does not accept the call.
  public func openCall(
    _ method: String, _ request: [UInt8] = [], timeout: Duration? = nil, metadata: RPCMetadata = RPCMetadata()
  ) throws(RPCClientError) -> UInt32 {
    try open(
      RPCOutgoingCall(method, request, timeout: timeout, metadata: metadata, isStream: false))
  }

  /// Opens a call with a stream of replies. Each reply has `more` true except the last one, which ends the call and has
  /// no message.
  ///
  /// - Parameters:
  ///   - method: The name of the method.
  ///   - request: The encoded request message.
  ///   - timeout: The timeout, in whole milliseconds, at least 1; nil for none.
  ///   - metadata: The metadata of the call.
  /// - Returns: The id of the call.
  /// - Throws: If the connection is lost or does not accept the call.
  public func openStream(
    _ method: String, _ request: [UInt8] = [], timeout: Duration? = nil, metadata: RPCMetadata = RPCMetadata()
  ) throws(RPCClientError) -> UInt32 {
    try open(
      RPCOutgoingCall(method, request, timeout: timeout, metadata: metadata, isStream: true))
  }
}

/// A call as a client sends it.
public struct RPCOutgoingCall: Sendable {
  /// The name of the method: `GetPrompt` for a method of the client's usual service, or with the service, as in
  /// `grpc.health.v1.Health/Check`.
  public var method: String
  /// The encoded request message.
  public var request: [UInt8]
  /// The timeout, in whole milliseconds, at least 1; nil for none.
  public var timeout: Duration?
  /// The metadata of the call.
  public var metadata: RPCMetadata
  /// Whether the call has a stream of replies instead of one.
  public var isStream: Bool

  /// Creates a call.
  ///
  /// - Parameters:
  ///   - method: The name of the method, with or without the service.
  ///   - request: The encoded request message.
  ///   - timeout: The timeout, in whole milliseconds, at least 1; nil for none.
  ///   - metadata: The metadata of the call.
  ///   - isStream: Whether the call has a stream of replies instead of one.
  public init(
    _ method: String, _ request: [UInt8], timeout: Duration? = nil, metadata: RPCMetadata = RPCMetadata(),
    isStream: Bool
  ) {
    self.method = method
    self.request = request
    self.timeout = timeout
    self.metadata = metadata
    self.isStream = isStream
  }
}

/// A reply as a client receives it.
public struct RPCClientReply: Sendable, Hashable {
  /// The status of the call.
  public var status: RPCStatus
  /// Whether further replies to the call follow.
  public var more: Bool
  /// The encoded response message.
  public var payload: [UInt8]
  /// The metadata of the reply.
  public var metadata: RPCMetadata

  /// Creates a reply.
  ///
  /// - Parameters:
  ///   - status: The status of the call.
  ///   - more: Whether further replies to the call follow.
  ///   - payload: The encoded response message.
  ///   - metadata: The metadata of the reply.
  public init(
    status: RPCStatus, more: Bool = false, payload: [UInt8] = [], metadata: RPCMetadata = RPCMetadata()
  ) {
    self.status = status
    self.more = more
    self.payload = payload
    self.metadata = metadata
  }
}
