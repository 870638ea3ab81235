public import Core
public import Network
public import RPC
public import TLS

/// A small client that waits, and speaks frames. One thread at a time.
public final class FramedClient: RPCClient {
  public let address: HostAndPort
  public var patienceSeconds = 30.0
  /// The reason of the server's `go_away`, once it has come.
  public private(set) var goAwayReason: String?

  private let isTLS: Bool
  /// Whether the server has said anything yet.
  private var hasHeard = false
  /// Nil once closed.
  private var stream: OutgoingStream?
  private var lastCallID: UInt32 = 0
  private var replies: [UInt32: [RPCClientReply]] = [:]
  private var pongs: Set<UInt64> = []
  private var input = [UInt8](repeating: 0, count: 64 * 1024)
  /// 0 <= inputHead <= inputTail <= input.count; between the two are bytes not yet understood.
  private var inputHead = 0
  private var inputTail = 0

  /// Connects, over TLS if there is `tls`: the server's certificate must be for `serverName`, by default the host.
  public init(
    _ address: HostAndPort, tls: TLSContext? = nil, serverName: String? = nil, timeoutSeconds: Double = 10
  ) throws(RPCClientError) {
    self.address = address
    isTLS = tls != nil
    do throws(NetworkError) {
      stream = try OutgoingStream(
        to: address, tls: tls, serverName: serverName, deadline: .now.advanced(bySeconds: timeoutSeconds))
    } catch {
      throw RPCClientError(.cannotConnect, "\(address)", error.message)
    }
  }

  /// Takes over a socket that is connected to `address` and does not block.
  init(adopting descriptor: Int32, of address: HostAndPort) {
    self.address = address
    isTLS = false
    stream = OutgoingStream(adopting: descriptor)
  }

  public func close() {
    stream = nil
  }

  // MARK: Calls

  public func open(_ call: RPCOutgoingCall) throws(RPCClientError) -> UInt32 {
    if let goAwayReason { throw problem(.goAway, "the server closes the connection: \(goAwayReason)") }
    lastCallID = lastCallID == .max ? 1 : lastCallID + 1
    // A frame names the method alone.
    let method = call.method.split(separator: "/").last.map(String.init) ?? ""
    try send(
      Self.encodeCall(
        id: lastCallID, method, call.request, timeoutMilliseconds: call.timeoutMilliseconds, metadata: call.metadata))
    return lastCallID
  }

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

  /// A reply that crossed it may still come.
  public func cancel(_ callID: UInt32) throws(RPCClientError) {
    replies[callID] = nil
    try send(FrameEncoder.cancel(id: callID))
  }

  public func ping(_ nonce: UInt64, deadline: MonotonicTime) throws(RPCClientError) {
    try send(FrameEncoder.ping(nonce))
    while pongs.remove(nonce) == nil { try keep(nextEvent(deadline: deadline)) }
  }

  private func keep(_ event: FramedEvent) {
    switch event {
    case .reply(let id, let reply): replies[id, default: []].append(reply)
    case .pong(let nonce): pongs.insert(nonce)
    // Open calls go on; new ones are refused by `openCall`.
    case .goAway: break
    }
  }

  // MARK: Frames

  /// A call's frame, length prefix included: to be sent in blocks.
  public static func encodeCall(
    id: UInt32, _ method: String, _ request: [UInt8] = [], timeoutMilliseconds: UInt32 = 0,
    metadata: RPCMetadata = RPCMetadata()
  ) -> [UInt8] {
    FrameEncoder.call(
      id: id, method: method, request: request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata)
  }

  /// Sends bytes as they are. Reads meanwhile what comes, so that two sides that both write do not wait for each other.
  public func send(_ bytes: [UInt8]) throws(RPCClientError) {
    let deadline = MonotonicTime.now.advanced(bySeconds: patienceSeconds)
    var sent = 0
    while sent < bytes.count {
      guard let stream else { throw lost("the connection has been closed") }
      switch bytes.withUnsafeBytes({ stream.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }) {
      case .count(0):
        guard stream.wait(writable: true, deadline: deadline) else {
          throw problem(.timedOut, "read no bytes for \(patienceSeconds) s")
        }
        _ = try receive()
      case .count(let count): sent += count
      case .lost(let reason):
        takeLastWords()
        throw lost(reason)
      }
    }
  }

  /// The server has closed: what it said before, a `go_away` perhaps, is still to be read.
  private func takeLastWords() {
    do throws(RPCClientError) {
      while try receive() {}
    } catch {}
    while let event = try? event() { keep(event) }
  }

  /// The next thing that the server sends, whichever call it belongs to.
  public func nextEvent(deadline: MonotonicTime) throws(RPCClientError) -> FramedEvent {
    while true {
      if let event = try event() { return event }
      try waitForBytes(deadline)
    }
  }

  /// Reads `count` final replies (`more` false) without keeping them, and says how many of them were not OK.
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

  /// What has come already, or nil. Does not wait.
  func nextEventIfAny() throws(RPCClientError) -> FramedEvent? {
    while true {
      if let event = try event() { return event }
      guard try receive() else { return nil }
    }
  }

  /// Waits until something has come, here or at another descriptor, or until the deadline.
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

  /// Lends the next whole frame; nil if there is none yet.
  private func withFrame<Result>(_ body: (DecodedFrame) -> Result) throws(RPCClientError) -> Result? {
    let outcome: Swift.Result<Result?, FrameError> = input.withUnsafeBytes { buffer in
      let rest = UnsafeRawBufferPointer(rebasing: buffer[inputHead..<inputTail])
      do throws(FrameError) {
        guard case .frame(let length) = try FrameDecoder.prefix(rest, limit: Limits.replyFrameBytes),
          rest.count >= Limits.prefixBytes + length
        else { return .success(nil) }
        let end = Limits.prefixBytes + length
        let frame = try FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: rest[Limits.prefixBytes..<end]))
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

  /// Reads once, without waiting. False if there was nothing.
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
