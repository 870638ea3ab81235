internal import Core
internal import Network
internal import RPC

/// The server's side of one connection that speaks gRPC. Loop thread only.
///
/// Here: bytes in and out, and the life of the connection. The calls are in `GRPCConnection+Calls.swift`; what nghttp2
/// reports of its frames, in `GRPCConnection+Frames.swift`.
final class GRPCConnection: ConnectionProtocol {
  enum State {
    case open
    /// The first GOAWAY is sent: new calls are taken until the client has seen it.
    case draining
    /// The last GOAWAY is sent: the connection closes after the last open call.
    case goneAway
    /// Nothing is read or written any more.
    case over
  }

  let loop: GRPCLoop
  let session: HTTP2Session
  /// Nil: everybody may do everything.
  let identities: RPCIdentities?
  let connection: Connection
  private(set) var state = State.open
  private var scanner: HTTP2FrameScanner
  var floodGuard: FloodGuard
  var keepalive: Keepalive
  /// As of the bytes that are being handled, or a little earlier.
  private(set) var now: MonotonicTime

  /// The open streams by their place, which is their tag in nghttp2, less one.
  private(set) var streams: [GRPCStream?] = []
  private var freePlaces: [Int] = []
  var openStreamCount: Int { streams.count - freePlaces.count }
  /// Open calls of methods with a bound of their own, by its name.
  private(set) var openCalls: [ServerLimit: Int] = [:]
  /// The stream that was last asked for: it mostly is the next one too.
  private var latest: GRPCStream?
  /// The stream whose headers come.
  var headersStream: GRPCStream?
  /// What is wrong with the trailers that come.
  var trailerProblem: HTTP2RequestRules.Problem?
  /// Bytes of replies that wait and are shared with nobody.
  var ownReplyBytes = 0 {
    didSet { connection.protocolByteCount += ownReplyBytes - oldValue }
  }
  /// Bytes of requests that are held, with their metadata.
  var requestBytes = 0 {
    didSet { connection.protocolByteCount += requestBytes - oldValue }
  }
  /// Streams to be told when the client takes more; first come, first told.
  private var waitingStreams: [GRPCStream] = []
  /// Streams to be told when the other streams of the connection hold less.
  private var crowdedStreams: [GRPCStream] = []

  /// When there was last a call.
  private var lastCall: MonotonicTime

  private var ageTimer: (any RPCTimer)?
  private var drainTimer: (any RPCTimer)?
  private var drainReason: StaticString = ""
  /// Of a GOAWAY that is the last thing to be sent.
  private var lastError: UInt32?
  /// What there was too much of, where that is why the connection ends.
  private var floodProblem: String?

  init(_ connection: Connection, loop: GRPCLoop) {
    self.connection = connection
    self.loop = loop
    identities = loop.access.map { RPCIdentities($0, connection) }
    now = .now
    lastCall = now
    session = HTTP2Session(limits: loop.limits)
    scanner = HTTP2FrameScanner(headerBlockBytes: loop.limits.headerBlockBytes)
    floodGuard = FloodGuard(
      maximum: loop.limits.floodCredits, perSecond: loop.limits.floodCreditsPerSecond, now: now)
    keepalive = Keepalive(limits: loop.limits, now: now)
    session.setOwner(self)
    // The settings.
    connection.askAtTurnEnd()
  }

  var worker: any RPCWorker { loop.eventLoop }
  var isWritable: Bool { connection.isWritable }

  // MARK: Bytes

  func received(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard state != .over else { return bytes.count }
    now = loop.eventLoop.turnBegan
    keepalive.heard(now)
    floodGuard.refill(now)
    let scan = scanner.scan(bytes)
    floodGuard.spend(scan.cost)
    if floodGuard.isExhausted || scan.isBlockTooLong {
      calm("flood", scan.isBlockTooLong ? "a header block is too long" : "too many frames without effect")
      return bytes.count
    }
    guard scan.usable > 0 else { return 0 }
    let isSound = session.receive(UnsafeRawBufferPointer(rebasing: bytes[..<scan.usable]))
    send()
    if !isSound, state != .over {
      endBadly(.protocolErrors, "grpc_protocol_error", "the bytes received are not HTTP/2")
    }
    return state == .over ? bytes.count : scan.usable
  }

  /// Something was queued: to be sent with whatever else is, when the turn ends.
  func askToSend() {
    connection.askAtTurnEnd()
  }

  func turnEnds() {
    send()
  }

  func writable() {
    now = .now
    send()
  }

  /// Writes what nghttp2 has, as far as the peer keeps up; then lets those write who waited for that.
  private func send() {
    guard state != .over else { return }
    repeat { writeOutput() } while tellWaiting()
    if state != .over, session.isOver { end(.finish) }
  }

  private func writeOutput() {
    while state != .over, connection.isWritable, let output = session.nextOutput() {
      connection.extendOutput(by: output.count)?.copyMemory(from: output)
      // What nghttp2 would send behind it is of no use to anybody.
      if let lastError { endBadly(lastError) }
    }
  }

  enum WriteOutcome {
    case written
    /// The connection is full.
    case full
    case over
  }

  func writeReply(_ id: Int32, header: UnsafeRawBufferPointer, count: Int) -> WriteOutcome {
    guard connection.isWritable else { return connection.isClosed ? .over : .full }
    guard let stream = stream(id), let room = connection.extendOutput(by: header.count + count) else { return .over }
    room.copyMemory(from: header)
    stream.write(into: UnsafeMutableRawBufferPointer(rebasing: room[header.count...]))
    return .written
  }

  // MARK: Slow clients

  func awaitWritable(_ stream: GRPCStream) {
    waitingStreams.append(stream)
  }

  /// For a stream that must wait although nothing of its own waits.
  func awaitLessOfOthers(_ stream: GRPCStream) {
    crowdedStreams.append(stream)
  }

  /// Whether anybody was told.
  private func tellWaiting() -> Bool {
    guard state != .over, connection.isWritable else { return false }
    if !crowdedStreams.isEmpty, ownReplyBytes <= loop.limits.ownReplyBytes / 2 {
      waitingStreams += crowdedStreams
      crowdedStreams = []
    }
    guard !waitingStreams.isEmpty else { return false }
    let line = waitingStreams
    waitingStreams = []
    for (index, stream) in line.enumerated() {
      // Those that do not get their turn, because the ones before filled the connection, are first next time.
      guard state != .over, connection.isWritable else {
        waitingStreams = line[index...] + waitingStreams
        break
      }
      stream.becameWritable()
    }
    return true
  }

  func inputStalled() {
    endBadly(.protocolErrors, "grpc_stalled", "a frame or a header block was started and not completed in time")
  }

  // MARK: Streams

  func add(_ id: Int32) -> GRPCStream {
    lastCall = now
    let stream = loop.takeStream()
    let place: Int
    if let free = freePlaces.popLast() {
      place = free
      streams[place] = stream
    } else {
      place = streams.count
      streams.append(stream)
    }
    stream.begin(id, place: place, on: self, now: now)
    connection.protocolByteCount += Limits.openStreamBytes
    session.setTag(place + 1, of: id)
    latest = stream
    return stream
  }

  /// Nil for a stream that is gone, or was refused before it began.
  func stream(_ id: Int32) -> GRPCStream? {
    if let latest, latest.id == id { return latest }
    let tag = session.tag(of: id)
    guard tag > 0, tag <= streams.count, let stream = streams[tag - 1], stream.id == id else { return nil }
    latest = stream
    return stream
  }

  func remove(_ stream: GRPCStream) {
    streams[stream.place] = nil
    freePlaces.append(stream.place)
    if latest === stream { latest = nil }
    if headersStream === stream { headersStream = nil }
    connection.protocolByteCount -= Limits.openStreamBytes
    if stream.phase == .open {
      floodGuard.spend(FloodGuard.cost(ofCancelledWork: stream.openingWork))
      callEnded(stream, .cancelled)
      stream.cancel()
    } else {
      stream.close()
    }
    loop.giveBack(stream)
  }

  /// A handler has taken the call.
  func callOpened(_ stream: GRPCStream) {
    loop.counters.add(.streamsOpened)
    if let limit = stream.head.method?.openCallLimit { openCalls[limit.name, default: 0] += 1 }
  }

  func callEnded(_ stream: GRPCStream, _ code: RPCStatus.Code) {
    if stream.phase == .open {
      loop.counters.add(.streamsEnded)
      if let limit = stream.head.method?.openCallLimit { openCalls[limit.name, default: 0] -= 1 }
    }
    loop.calls.ended(stream.head.method, code, since: stream.began)
  }

  // MARK: Time

  func tick(_ now: MonotonicTime) {
    guard state != .over else { return }
    self.now = now
    switch keepalive.tick(now) {
    case .none: break
    case .ping:
      session.submitPing(Self.keepalivePayload)
      askToSend()
    case .close:
      loop.counters.add(.keepaliveTimeouts)
      loop.report("grpc_keepalive_timeout", "the client did not answer a keepalive ping", peer: connection.peer)
      return connection.close()
    }
    drainIfIdle()
    for stream in streams {
      guard let stream else { continue }
      let seconds = now.seconds(since: stream.lastProgress)
      if stream.phase == .request, seconds >= loop.limits.requestSeconds {
        stream.fail(RPCStatus(.deadlineExceeded, "the request was not complete within \(loop.limits.requestSeconds) s"))
      } else if stream.isDropping, seconds >= loop.limits.droppedRequestTimeout.seconds {
        stream.giveUpRequest()
      } else if stream.isUnary, stream.hasPendingReply, seconds >= loop.limits.stalledReplySeconds {
        stream.reset(.enhanceYourCalm)
      }
    }
  }

  private func drainIfIdle() {
    guard loop.limits.idleSeconds > 0, state == .open else { return }
    if openStreamCount > openCalls.values.reduce(0, +) { lastCall = now }
    guard now.seconds(since: lastCall) >= loop.limits.idleSeconds else { return }
    connection.reached(.idleConnection, "No call was open for \(loop.limits.idleSeconds) s")
    drain("idle")
  }

  /// Drains when the connection has reached its age, earlier or later by a tenth: not all of a restart's at once.
  func limitAge(seconds: Double) {
    guard seconds > 0 else { return }
    ageTimer = worker.schedule(afterSeconds: seconds * Double.random(in: 0.9...1.1)) { [weak self] in
      self?.ageTimer = nil
      self?.drain("max_age")
    }
  }

  static let keepalivePayload: UInt64 = 0x6b65_6570_616c_6976
  static let drainPayload: UInt64 = 0x6472_6169_6e69_6e67

  // MARK: The end

  /// Lets the client know that it should go elsewhere, in two steps: a call that is on its way when the first GOAWAY
  /// comes is still taken, and nothing is refused that the client could not know about.
  func drain(_ reason: StaticString) {
    guard state == .open else { return }
    state = .draining
    drainReason = reason
    session.submitShutdownNotice()
    // Its answer says that the client has read the notice.
    session.submitPing(Self.drainPayload)
    drainTimer = worker.schedule(afterSeconds: loop.limits.drainGraceSeconds) { [weak self] in
      self?.drainTimer = nil
      self?.goAway()
    }
    askToSend()
    for stream in streams { stream?.draining() }
  }

  /// The second step.
  func goAway() {
    guard state == .draining else { return }
    state = .goneAway
    drainTimer?.cancel()
    drainTimer = nil
    session.submitGoAway(.none, drainReason)
    askToSend()
  }

  /// The client does too much of something. Says so, and closes.
  func calm(_ reason: StaticString, _ problem: String) {
    guard state != .over else { return }
    floodProblem = problem
    session.submitGoAway(.enhanceYourCalm, reason)
    // As far as it gets: who does not read gets no reason.
    writeOutput()
    endBadly(.floods, "grpc_flood", problem)
  }

  /// The next output is a GOAWAY.
  func goAwayComes(_ code: UInt32) {
    if code != HTTP2Session.ErrorCode.none.rawValue { lastError = code }
  }

  private func endBadly(_ code: UInt32) {
    let isFlood = code == HTTP2Session.ErrorCode.enhanceYourCalm.rawValue
    endBadly(
      isFlood ? .floods : .protocolErrors, isFlood ? "grpc_flood" : "grpc_protocol_error",
      floodProblem ?? "the connection was closed with HTTP/2 error \(code)")
  }

  private func endBadly(_ counter: GRPCCounter, _ event: String, _ problem: String) {
    guard state != .over else { return }
    loop.counters.add(counter)
    loop.report(event, problem, peer: connection.peer)
    end(.finish)
  }

  func close() {
    connection.close()
  }

  func inputEnded() {
    end(.leave)
  }

  func closed() {
    end(.leave)
    loop.remove(self)
  }

  private enum Farewell {
    /// Send what has been written, and close.
    case finish
    /// The connection ends by itself.
    case leave
  }

  private func end(_ farewell: Farewell) {
    guard state != .over else { return }
    state = .over
    ageTimer?.cancel()
    ageTimer = nil
    drainTimer?.cancel()
    drainTimer = nil
    waitingStreams = []
    crowdedStreams = []
    latest = nil
    headersStream = nil
    let open = streams
    streams = []
    freePlaces = []
    for case let stream? in open {
      connection.protocolByteCount -= Limits.openStreamBytes
      if stream.phase == .open {
        callEnded(stream, .cancelled)
        stream.cancel()
      } else {
        stream.close()
      }
      loop.giveBack(stream)
    }
    if farewell == .finish { connection.finish() }
  }
}
