// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC
public import ConfigLookupTLS

/// A small blocking client for the framed protocol. It may be used by one thread at a time.
public final class FramedClient: RPCClient {
  /// The address of the server.
  public let address: HostAndPort
  /// The time that a call without a timeout waits, and that a write may take.
  public var callTimeout = Duration.seconds(30)
  /// The reason in the server's `go_away`; nil if none has been received.
  public private(set) var goAwayReason: String?

  private let isTLS: Bool
  /// Whether the server has sent any byte.
  private var hasHeard = false
  /// Nil after the connection has been closed.
  private var stream: OutgoingStream?
  private var lastCallID: UInt32 = 0
  private var replies: [UInt32: [RPCClientReply]] = [:]
  private var pongs: Set<UInt64> = []
  private var input = [UInt8](repeating: 0, count: 64 * 1024)
  /// 0 <= inputHead <= inputTail <= input.count. The bytes between the two have been received and not decoded yet.
  private var inputHead = 0
  private var inputTail = 0

  /// Connects to a server.
  ///
  /// - Parameters:
  ///   - address: The address of the server.
  ///   - tls: The TLS configuration; nil for cleartext.
  ///   - serverName: The name for which the server's certificate must be valid; nil for the host of the address.
  ///   - connectTimeout: Maximum time to establish the connection, TLS handshake included.
  /// - Throws: If the connection cannot be established.
  public init(
    _ address: HostAndPort, tls: TLSContext? = nil, serverName: String? = nil, connectTimeout: Duration = .seconds(10)
  ) throws(RPCClientError) {
    self.address = address
    isTLS = tls != nil
    do throws(NetworkError) {
      stream = try OutgoingStream(
        to: address, tls: tls, serverName: serverName, deadline: .now.advanced(by: connectTimeout))
    } catch {
      throw RPCClientError(.cannotConnect, "\(address)", error.message)
    }
  }

  /// Takes over a non-blocking socket that is connected to `address`.
  init(adopting descriptor: Int32, of address: HostAndPort) {
    self.address = address
    isTLS = false
    stream = OutgoingStream(adopting: descriptor)
  }

  /// Closes the connection, and ends all open calls.
  public func close() {
    stream = nil
  }

  // MARK: Calls

  /// Sends a call.
  ///
  /// - Parameter call: The call. Only the name of the method is sent, without the service.
  /// - Returns: The id of the call, for ``nextReply(_:deadline:)`` and ``cancel(_:)``.
  /// - Throws: If the server has sent a `go_away`, or the connection is lost.
  public func open(_ call: RPCOutgoingCall) throws(RPCClientError) -> UInt32 {
    if let goAwayReason { throw problem(.goAway, "the server closes the connection: \(goAwayReason)") }
    lastCallID = lastCallID == .max ? 1 : lastCallID + 1
    // A frame contains the name of the method without the service.
    let method = call.method.split(separator: "/").last.map(String.init) ?? ""
    try send(
      Self.encodeCall(
        id: lastCallID, method, call.request, timeout: call.timeout, metadata: call.metadata))
    return lastCallID
  }

  /// Waits for the next reply to an open call. The last reply has `more` false.
  ///
  /// - Parameters:
  ///   - callID: The id that ``open(_:)`` returned.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Returns: The reply, which may have an error status.
  /// - Throws: If the connection is lost, or no reply is received before the deadline.
  public func nextReply(_ callID: UInt32, deadline: MonotonicTime) throws(RPCClientError) -> RPCClientReply {
    while true {
      if var list = replies[callID] {
        let reply = list.removeFirst()
        replies[callID] = list.isEmpty ? nil : list
        return reply
      }
      try keep(nextEvent(deadline: deadline))
    }
  }

  /// Cancels a call. A reply that the server has already sent may still be received.
  ///
  /// - Parameter callID: The id that ``open(_:)`` returned.
  /// - Throws: If the connection is lost.
  public func cancel(_ callID: UInt32) throws(RPCClientError) {
    replies[callID] = nil
    try send(FrameEncoder.cancel(id: callID))
  }

  /// Sends a ping and waits for the pong with the same nonce.
  ///
  /// - Parameters:
  ///   - nonce: The value that the pong must repeat.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Throws: If the connection is lost, or the pong is not received before the deadline.
  public func ping(_ nonce: UInt64, deadline: MonotonicTime) throws(RPCClientError) {
    try send(FrameEncoder.ping(nonce))
    while pongs.remove(nonce) == nil { try keep(nextEvent(deadline: deadline)) }
  }

  private func keep(_ event: FramedEvent) {
    switch event {
    case .reply(let id, let reply): replies[id, default: []].append(reply)
    case .pong(let nonce): pongs.insert(nonce)
    // Open calls continue; `open` rejects new ones.
    case .goAway: break
    }
  }

  // MARK: Frames

  /// Encodes a call as a frame with its length prefix, so that several calls can be sent in one write.
  ///
  /// - Parameters:
  ///   - id: The id of the call, which must differ from those of all open calls.
  ///   - method: The name of the method, without the service.
  ///   - request: The encoded request message.
  ///   - timeout: The timeout, in whole milliseconds, at least 1; nil for none.
  ///   - metadata: The metadata of the call.
  /// - Returns: The bytes of the frame.
  public static func encodeCall(
    id: UInt32, _ method: String, _ request: [UInt8] = [], timeout: Duration? = nil,
    metadata: RPCMetadata = RPCMetadata()
  ) -> [UInt8] {
    FrameEncoder.call(
      id: id, method: method, request: request, timeout: timeout, metadata: metadata)
  }

  /// Sends bytes unchanged. Received bytes are read in the meantime, so that two sides that both write do not block
  /// each other.
  ///
  /// - Parameter bytes: The bytes to send.
  /// - Throws: If the connection is lost, or the server accepts no byte for ``callTimeout``.
  public func send(_ bytes: [UInt8]) throws(RPCClientError) {
    let deadline = MonotonicTime.now.advanced(by: callTimeout)
    var sent = 0
    while sent < bytes.count {
      guard let stream else { throw lost("the connection has been closed") }
      switch bytes.withUnsafeBytes({ stream.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }) {
      case .count(0):
        guard stream.wait(writable: true, deadline: deadline) else {
          throw problem(.timedOut, "read no bytes for \(callTimeout.seconds) s")
        }
        _ = try receive()
      case .count(let count): sent += count
      case .lost(let reason):
        takeLastWords()
        throw lost(reason)
      }
    }
  }

  /// Reads what the server sent before it closed the connection, which may include a `go_away`.
  private func takeLastWords() {
    do throws(RPCClientError) {
      while try receive() {}
    } catch {}
    while let event = try? event() { keep(event) }
  }

  /// Waits for the next event, of any call.
  ///
  /// - Parameter deadline: The time at which the wait ends with an error.
  /// - Returns: The event.
  /// - Throws: If the connection is lost, or nothing is received before the deadline.
  public func nextEvent(deadline: MonotonicTime) throws(RPCClientError) -> FramedEvent {
    while true {
      if let event = try event() { return event }
      try waitForBytes(deadline)
    }
  }

  /// Reads final replies (`more` false) and discards them.
  ///
  /// - Parameters:
  ///   - count: The number of final replies to read.
  ///   - deadline: The time at which the wait ends with an error.
  /// - Returns: The number of these replies whose status is not OK.
  /// - Throws: If the connection is lost, or too few replies are received before the deadline.
  public func countReplies(_ count: Int, deadline: MonotonicTime) throws(RPCClientError) -> Int {
    var failed = 0
    var seen = 0
    while seen < count {
      let isFrame: Void? = try withFrame { frame in
        guard case .reply(let reply) = frame.body, !reply.more else { return }
        seen += 1
        if reply.status != 0 { failed += 1 }
      }
      if isFrame == nil { try waitForBytes(deadline) }
    }
    return failed
  }

  /// Returns an event that has been received already, or nil. It does not wait.
  func nextEventIfAny() throws(RPCClientError) -> FramedEvent? {
    while true {
      if let event = try event() { return event }
      guard try receive() else { return nil }
    }
  }

  /// Waits until bytes have been received, another descriptor is readable, or the deadline has passed.
  func wait(orReadable other: Int32, deadline: MonotonicTime) {
    stream?.wait(orReadable: other, deadline: deadline)
  }

  private func event() throws(RPCClientError) -> FramedEvent? {
    while true {
      let result = try withFrame { frame -> FramedEvent? in
        switch frame.body {
        case .reply(let reply): .reply(callID: frame.callID, RPCClientReply(reply))
        case .pong(let nonce): .pong(nonce: nonce)
        case .goAway(let reason): .goAway(reason: String(decoding: reason, as: UTF8.self))
        case .none, .call, .cancel, .ping: nil
        }
      }
      guard let event = result else { return nil }
      if case .goAway(let reason) = event { goAwayReason = reason }
      if let event { return event }
    }
  }

  /// Passes the next complete frame to `body`; returns nil if there is none yet. The frame is valid during the call
  /// only.
  private func withFrame<Result>(_ body: (DecodedFrame) -> Result) throws(RPCClientError) -> Result? {
    let outcome: Swift.Result<Result?, FrameError> = input.withUnsafeBytes { buffer in
      let rest = UnsafeRawBufferPointer(rebasing: buffer[inputHead..<inputTail])
      do throws(FrameError) {
        guard case .frame(let length) = try FrameDecoder.prefix(rest, limit: FramedLimits.replyFrameBytes),
          rest.count >= FramedLimits.prefixBytes + length
        else { return .success(nil) }
        let end = FramedLimits.prefixBytes + length
        let frame = try FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: rest[FramedLimits.prefixBytes..<end]))
        inputHead += end
        return .success(body(frame))
      } catch {
        return .failure(error)
      }
    }
    do throws(FrameError) {
      return try outcome.get()
    } catch {
      throw problem(.malformed, "sent an invalid frame: \(error)")
    }
  }

  // MARK: Bytes

  private func waitForBytes(_ deadline: MonotonicTime) throws(RPCClientError) {
    while try !receive() {
      guard stream?.wait(writable: false, deadline: deadline) == true else {
        throw problem(.timedOut, "no reply in time")
      }
    }
  }

  /// Reads once, without waiting. Returns false if no byte was available.
  private func receive() throws(RPCClientError) -> Bool {
    guard let stream else { throw lost("the connection has been closed") }
    makeRoom()
    let tail = inputTail
    let outcome = input.withUnsafeMutableBytes {
      stream.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[tail...]))
    }
    switch outcome {
    case .count(let count):
      inputTail += count
      if count > 0 { hasHeard = true }
      return count > 0
    case .lost(let reason): throw lost(reason)
    }
  }

  private func makeRoom() {
    if inputHead > 0, inputHead == inputTail || inputTail == input.count {
      input.replaceSubrange(0..<(inputTail - inputHead), with: Array(input[inputHead..<inputTail]))
      inputTail -= inputHead
      inputHead = 0
    }
    if inputTail == input.count { input.append(contentsOf: [UInt8](repeating: 0, count: input.count)) }
  }

  private func problem(_ code: RPCClientError.Code, _ text: String) -> RPCClientError {
    RPCClientError(code, "\(address)", text)
  }

  private func lost(_ text: String) -> RPCClientError {
    if let goAwayReason { return problem(.goAway, "the server closes the connection: \(goAwayReason)") }
    return problem(.connectionLost, hasHeard || isTLS ? text : "\(text) before it sent anything; it may require TLS")
  }
}
