internal import Core
internal import Network
internal import RPC

/// The server's side of one connection that speaks frames. Loop thread only.
///
/// Here: frames in and out, and the life of the connection. The calls are in `FramedConnection+Calls.swift`.
final class FramedConnection: ConnectionProtocol {
  enum State {
    case open
    /// `go_away` is sent: new calls are refused, and the connection closes after the last open one.
    case draining
    /// Nothing is read or written any more.
    case over
  }

  let loop: FramedLoop
  let connection: Connection
  private(set) var state = State.open
  /// By call_id.
  var streams: [UInt32: FramedStream] = [:]
  /// What `Hello` brought: beneath the metadata of each later call.
  var helloMetadata = RPCMetadata() {
    didSet { connection.protocolByteCount += helloMetadata.heldByteCount - oldValue.heldByteCount }
  }
  /// Nil: everybody may do everything.
  let identities: RPCIdentities?
  /// Of calls that bring no `authorization` of their own.
  var helloIdentity: RPCIdentity?
  private var floodGuard: FloodGuard
  /// The call_ids of streams to be told when the peer takes more; first come, first told, from `firstWaiting` on.
  private var waitingStreams: [UInt32] = []
  private var firstWaiting = 0
  // Unowned by their jobs: `end()` cancels them before the connection goes, and to count references of what is held
  // weakly takes twice as long.
  private var ageTimer: (any RPCTimer)?
  private var drainTimer: (any RPCTimer)?
  private var idleTimer: (any RPCTimer)?
  /// Something has come since the idle timer began.
  private var wasActive = false

  init(_ connection: Connection, loop: FramedLoop) {
    self.connection = connection
    self.loop = loop
    floodGuard = FloodGuard(
      maximum: loop.limits.floodCredits, perSecond: loop.limits.floodCreditsPerSecond, now: loop.eventLoop.turnBegan)
    identities = loop.access.map { RPCIdentities($0, connection) }
    helloIdentity = identities?[nil]
  }

  var worker: any RPCWorker { loop.eventLoop }
  var isWritable: Bool { connection.isWritable }

  // MARK: Frames in

  func received(_ bytes: UnsafeRawBufferPointer) -> Int {
    wasActive = true
    floodGuard.refill(loop.eventLoop.turnBegan)
    var offset = 0
    while state != .over, connection.isWritable {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      let answered = answerPlainCalls(rest)
      guard answered == 0 else {
        offset += answered
        continue
      }
      do throws(FrameError) {
        guard case .frame(let length) = try FrameDecoder.prefix(rest, limit: loop.limits.frameBytes),
          rest.count >= Limits.prefixBytes + length
        else { return offset }
        let end = Limits.prefixBytes + length
        try handle(FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: rest[Limits.prefixBytes..<end])))
        offset += end
        if floodGuard.isExhausted { stopFlood() }
      } catch {
        refuse(error)
      }
    }
    return state == .over ? bytes.count : offset
  }

  private func handle(_ frame: DecodedFrame) throws(FrameError) {
    loop.counters.add(.framesReceived)
    switch frame.body {
    case .call(let call):
      guard streams.isEmpty || streams[frame.callID] == nil else {
        throw FrameError("call_id \(frame.callID) is in use by an open call")
      }
      open(call, id: frame.callID)
    case .cancel: cancel(frame.callID)
    case .ping(let nonce):
      floodGuard.spend(FloodGuard.costOfCancel)
      pong(nonce)
    // Sent by a later version of the protocol, or an answer nobody asked for.
    case .none, .pong: floodGuard.spend(FloodGuard.costOfEmptyFrame)
    case .reply: throw FrameError("received a reply frame; only the server sends those")
    case .goAway: throw FrameError("received a go_away frame; only the server sends those")
    }
  }

  private func cancel(_ callID: UInt32) {
    // Unknown: the call may have ended while the frame was on its way.
    guard let stream = streams[callID] else { return floodGuard.spend(FloodGuard.costOfEmptyFrame) }
    floodGuard.spend(FloodGuard.cost(ofCancelledWork: stream.openingWork))
    stream.cancel()
    streamEnded(stream, .cancelled)
  }

  // MARK: Frames out

  func send(
    _ reply: FrameEncoder.Reply, head: borrowing [UInt8], body: borrowing [UInt8], metadata: RPCMetadata
  ) {
    let sizes = FrameEncoder.sizes(reply, payload: head.count + body.count, metadata: metadata)
    guard let room = connection.extendOutput(by: sizes.total) else { return }
    FrameEncoder.write(reply, sizes, head: head, body: body, metadata: metadata, into: room)
    loop.counters.add(.framesSent)
  }

  private func pong(_ nonce: UInt64) {
    guard let room = connection.extendOutput(by: FrameEncoder.nonceSize(nonce)) else { return }
    FrameEncoder.writeNonce(nonce, field: 6, into: room)
    loop.counters.add(.framesSent)
  }

  private func goAway(_ reason: String) {
    let bytes = FrameEncoder.goAway(reason)
    connection.extendOutput(by: bytes.count)?.copyBytes(from: bytes)
    loop.counters.add(.framesSent)
  }

  // MARK: Slow peers

  func awaitWritable(_ callID: UInt32) {
    waitingStreams.append(callID)
  }

  func writable() {
    // Those that do not get their turn now, because the ones before filled the connection again, are first next time.
    while firstWaiting < waitingStreams.count, connection.isWritable {
      let callID = waitingStreams[firstWaiting]
      firstWaiting += 1
      // An id that ended in the meantime finds nothing; one that was taken again is told early, which is harmless.
      streams[callID]?.becameWritable()
    }
    // Each is moved once on average.
    if firstWaiting * 2 >= waitingStreams.count {
      waitingStreams.removeFirst(firstWaiting)
      firstWaiting = 0
    }
  }

  func inputStalled() {
    refuse(FrameError("a frame was started and not completed in time"))
  }

  // MARK: The end

  func streamEnded(_ stream: FramedStream, _ code: RPCStatus.Code) {
    streams[stream.callID] = nil
    count(stream, code)
    finishIfDrained()
  }

  private func count(_ stream: FramedStream, _ code: RPCStatus.Code) {
    connection.protocolByteCount -= stream.heldByteCount
    if code == .ok { floodGuard.earn() }
    loop.counters.add(.streamsEnded)
    loop.calls.ended(stream.method, code, since: stream.began)
  }

  /// The client broke the protocol: says why, and closes.
  private func refuse(_ error: FrameError) {
    guard state != .over else { return }
    loop.counters.add(.protocolErrors)
    if error.isTooLong { connection.reached(.requestBytes, error.description) }
    goAway(error.description)
    end()
    connection.finish()
  }

  /// The client spends the server's time on what leads to nothing: says so, and closes.
  private func stopFlood() {
    guard state != .over else { return }
    loop.counters.add(.floods)
    let problem = "too many cancelled calls or pings"
    loop.report("framed_flood", problem, peer: connection.peer)
    goAway(problem)
    end()
    connection.finish()
  }

  /// Takes no new calls, and closes when the open ones have ended.
  func drain(_ reason: String) {
    guard state == .open else { return }
    state = .draining
    goAway(reason)
    // First the grace, then the streams: one that ends itself at once must not end the connection with it.
    drainTimer = worker.schedule(afterSeconds: Limits.drainGraceSeconds) { [unowned self] in
      drainTimer = nil
      finishIfDrained()
    }
    for callID in Array(streams.keys) { streams[callID]?.draining() }
  }

  private func finishIfDrained() {
    guard state == .draining, streams.isEmpty, drainTimer == nil else { return }
    end()
    connection.finish()
  }

  /// Drains when the connection has reached its age, earlier or later by a tenth: not all of a restart's at once.
  func limitAge() {
    guard loop.limits.maximumAgeSeconds > 0 else { return }
    let seconds = loop.limits.maximumAgeSeconds * Double.random(in: 0.9...1.1)
    ageTimer = worker.schedule(afterSeconds: seconds) { [unowned self] in
      ageTimer = nil
      drain("draining")
    }
  }

  /// Drains when nothing has come for as long as may be: a client that vanished without a word holds a place. Looked at
  /// from time to time, which costs less than a clock at each call.
  func limitIdleness() {
    guard loop.limits.idleSeconds > 0 else { return }
    wasActive = false
    idleTimer = worker.schedule(afterSeconds: loop.limits.idleSeconds) { [unowned self] in
      idleTimer = nil
      guard !wasActive, streams.isEmpty else { return limitIdleness() }
      connection.reached(.idleConnection, "No bytes received for \(loop.limits.idleSeconds) s")
      drain("idle")
    }
  }

  func close() {
    connection.close()
  }

  func inputEnded() {
    end()
  }

  func closed() {
    end()
    loop.remove(self)
  }

  private func end() {
    state = .over
    ageTimer?.cancel()
    ageTimer = nil
    drainTimer?.cancel()
    drainTimer = nil
    idleTimer?.cancel()
    idleTimer = nil
    waitingStreams = []
    firstWaiting = 0
    let open = streams
    streams = [:]
    for stream in open.values {
      stream.cancel()
      count(stream, .cancelled)
    }
  }
}
