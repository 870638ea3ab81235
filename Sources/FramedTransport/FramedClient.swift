public import Core
public import Network
public import RPC
public import TLS

/// A small client that waits: for the command line, for tests and for benchmarks. One thread at a time.
///
/// Many calls may be open at once; replies to another call than the one asked for are kept until they are asked for.
public final class FramedClient {
  public let address: HostAndPort
  /// Seconds that a call without a timeout waits, and that a write may take.
  public var patienceSeconds = 30.0
  /// The reason of the server's `go_away`, once it has come.
  public private(set) var goAwayReason: String?

  private let isTLS: Bool
  /// Whether the server has said anything yet.
  private var hasHeard = false
  /// Nil once closed.
  private var stream: OutgoingStream?
  private var lastCallID: UInt32 = 0
  private var replies: [UInt32: [FramedReply]] = [:]
  private var pongs: Set<UInt64> = []
  private var input = [UInt8](repeating: 0, count: 64 * 1024)
  /// 0 <= inputHead <= inputTail <= input.count; between the two are bytes not yet understood.
  private var inputHead = 0
  private var inputTail = 0

  /// Connects, over TLS if there is `tls`: the server's certificate must be for `serverName`, by default the host.
  public init(
    _ address: HostAndPort, tls: TLSContext? = nil, serverName: String? = nil, timeoutSeconds: Double = 10
  ) throws(FramedClientError) {
    self.address = address
    isTLS = tls != nil
    do throws(NetworkError) {
      stream = try OutgoingStream(
        to: address, tls: tls, serverName: serverName, deadline: .now.advanced(bySeconds: timeoutSeconds))
    } catch {
      throw FramedClientError(.cannotConnect, "\(address)", error.message)
    }
  }

  /// Takes over a socket that is connected to `address` and does not block.
  init(adopting descriptor: Int32, of address: HostAndPort) {
    self.address = address
    isTLS = false
    stream = OutgoingStream(adopting: descriptor)
  }

  /// Closes the connection; what is open ends with it.
  public func close() {
    stream = nil
  }

  // MARK: Calls

  /// Makes a unary call and waits for its reply: as long as the call's timeout and a second, or as long as the
  /// patience.
  public func call(
    _ method: String, _ request: [UInt8] = [], timeoutMilliseconds: UInt32 = 0, metadata: RPCMetadata = RPCMetadata()
  ) throws(FramedClientError) -> FramedReply {
    let id = try openCall(method, request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata)
    let seconds = timeoutMilliseconds == 0 ? patienceSeconds : Double(timeoutMilliseconds) / 1000 + 1
    return try nextReply(id, deadline: .now.advanced(bySeconds: seconds))
  }

  /// Opens a call, unary or streaming, and gives its id for ``nextReply(_:deadline:)`` and ``cancel(_:)``.
  public func openCall(
    _ method: String, _ request: [UInt8] = [], timeoutMilliseconds: UInt32 = 0, metadata: RPCMetadata = RPCMetadata()
  ) throws(FramedClientError) -> UInt32 {
    if let goAwayReason { throw problem(.goAway, "the server goes away: \(goAwayReason)") }
    lastCallID = lastCallID == .max ? 1 : lastCallID + 1
    try send(
      Self.encodeCall(
        id: lastCallID, method, request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata))
    return lastCallID
  }

  /// The next reply to an open call. The last one has `more` false.
  public func nextReply(_ callID: UInt32, deadline: MonotonicTime) throws(FramedClientError) -> FramedReply {
    while true {
      if var list = replies[callID] {
        let reply = list.removeFirst()
        replies[callID] = list.isEmpty ? nil : list
        return reply
      }
      try keep(nextEvent(deadline: deadline))
    }
  }

  /// Tells the server that nobody waits for the call any more. A reply that crossed it may still come.
  public func cancel(_ callID: UInt32) throws(FramedClientError) {
    replies[callID] = nil
    try send(FrameEncoder.cancel(id: callID))
  }

  /// Asks the server for a sign of life and waits for it.
  public func ping(_ nonce: UInt64, deadline: MonotonicTime) throws(FramedClientError) {
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
  public func send(_ bytes: [UInt8]) throws(FramedClientError) {
    let deadline = MonotonicTime.now.advanced(bySeconds: patienceSeconds)
    var sent = 0
    while sent < bytes.count {
      guard let stream else { throw lost("the connection has been closed") }
      switch bytes.withUnsafeBytes({ stream.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }) {
      case .count(0):
        guard stream.wait(writable: true, deadline: deadline) else {
          throw problem(.timedOut, "took no byte for \(patienceSeconds) s")
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
    do throws(FramedClientError) {
      while try receive() {}
    } catch {}
    while let event = try? event() { keep(event) }
  }

  /// The next thing that the server sends, whichever call it belongs to.
  public func nextEvent(deadline: MonotonicTime) throws(FramedClientError) -> FramedEvent {
    while true {
      if let event = try event() { return event }
      try waitForBytes(deadline)
    }
  }

  /// Reads `count` final replies (`more` false) without keeping them, and says how many of them were not OK.
  public func countReplies(_ count: Int, deadline: MonotonicTime) throws(FramedClientError) -> Int {
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

  private func event() throws(FramedClientError) -> FramedEvent? {
    while true {
      let result = try withFrame { frame -> FramedEvent? in
        switch frame.body {
        case .reply(let reply): .reply(callID: frame.callID, FramedReply(reply))
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
  private func withFrame<Result>(_ body: (DecodedFrame) -> Result) throws(FramedClientError) -> Result? {
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
      throw problem(.malformedFrame, "sent what is no frame: \(error)")
    }
  }

  // MARK: Bytes

  private func waitForBytes(_ deadline: MonotonicTime) throws(FramedClientError) {
    while try !receive() {
      guard stream?.wait(writable: false, deadline: deadline) == true else {
        throw problem(.timedOut, "no answer in time")
      }
    }
  }

  /// Reads once, without waiting. False if there was nothing.
  private func receive() throws(FramedClientError) -> Bool {
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

  private func problem(_ code: FramedClientError.Code, _ text: String) -> FramedClientError {
    FramedClientError(code, "\(address)", text)
  }

  private func lost(_ text: String) -> FramedClientError {
    if let goAwayReason { return problem(.goAway, "the server goes away: \(goAwayReason)") }
    return problem(.connectionLost, hasHeard || isTLS ? text : "\(text) without a word; it may want TLS")
  }
}
