// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// The server side of one connection that uses the framed protocol. It is used on its event loop's thread only.
///
/// This file has the input and output of frames, and the life cycle of the connection. The calls are in
/// `FramedConnection+Calls.swift`.
final class FramedConnection: ConnectionProtocol {
  enum State {
    case open
    /// A `go_away` has been sent. New calls are rejected, and the connection closes after the last open call.
    case draining
    /// The connection neither reads nor writes any more.
    case over
  }

  let loop: FramedLoop
  let connection: Connection
  private(set) var state = State.open
  /// The open streams by call_id.
  var streams: [UInt32: FramedStream] = [:]
  /// The metadata of `Hello`, which apply to each later call unless it overrides them.
  var helloMetadata = RPCMetadata() {
    didSet { connection.protocolByteCount += helloMetadata.heldByteCount - oldValue.heldByteCount }
  }
  /// Nil if the server requires no credentials.
  let identities: RPCIdentities?
  /// The identity of calls that have no `authorization` of their own.
  var helloIdentity: RPCIdentity?
  private var floodGuard: FloodGuard
  /// The call_ids of streams that wait until the connection is writable, in order of arrival, starting at
  /// `firstWaiting`.
  private var waitingStreams: [UInt32] = []
  private var firstWaiting = 0
  // The timers' jobs hold the connection unowned: `end()` cancels the timers before the connection is released, and
  // reference counting takes twice as long for an object with weak references.
  private var ageTimer: (any RPCTimer)?
  private var drainTimer: (any RPCTimer)?
  private var idleTimer: (any RPCTimer)?
  /// Whether anything has been received since the idle timer was started.
  private var wasActive = false

  init(_ connection: Connection, loop: FramedLoop) {
    self.connection = connection
    self.loop = loop
    floodGuard = FloodGuard(
      maximum: loop.limits.floodCredits, perSecond: loop.limits.floodCreditsPerSecond,
      now: loop.eventLoop.iterationBegan)
    identities = loop.access.map { RPCIdentities($0, connection) }
    helloIdentity = identities?[nil]
  }

  var worker: any RPCWorker { loop.eventLoop }
  var isWritable: Bool { connection.isWritable }

  // MARK: Frames in

  func received(_ bytes: UnsafeRawBufferPointer) -> Int {
    wasActive = true
    floodGuard.refill(loop.eventLoop.iterationBegan)
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
          rest.count >= FramedLimits.prefixBytes + length
        else { return offset }
        let end = FramedLimits.prefixBytes + length
        try handle(FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: rest[FramedLimits.prefixBytes..<end])))
        offset += end
        if floodGuard.isExhausted { stopFlood() }
        if offset < bytes.count, connection.isIterationOver {
          connection.leaveInput()
          break
        }
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
    // A body that a later version of the protocol added, or a pong without a ping.
    case .none, .pong: floodGuard.spend(FloodGuard.costOfEmptyFrame)
    case .reply: throw FrameError("received a reply frame; only the server sends those")
    case .goAway: throw FrameError("received a go_away frame; only the server sends those")
    }
  }

  private func cancel(_ callID: UInt32) {
    // The call is unknown if it ended while the frame was in transit.
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
    // Streams that are not notified now, because the ones before them filled the connection again, come first next
    // time.
    while firstWaiting < waitingStreams.count, connection.isWritable {
      let callID = waitingStreams[firstWaiting]
      firstWaiting += 1
      // If the call has ended in the meantime, nothing is found. If its id was reused, the new call is notified too
      // early, which is harmless.
      streams[callID]?.becameWritable()
    }
    // Each entry is moved once on average.
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

  /// Closes the connection after a protocol error of the client, with a `go_away` that contains the reason.
  private func refuse(_ error: FrameError) {
    guard state != .over else { return }
    loop.counters.add(.protocolErrors)
    if error.isTooLong { connection.recordRejection(.requestBytes, error.description) }
    goAway(error.description)
    end()
    connection.finish()
  }

  /// Closes the connection after a flood of frames that cost server time to no effect, with a `go_away` that contains
  /// the reason.
  private func stopFlood() {
    guard state != .over else { return }
    loop.counters.add(.floods)
    let problem = "too many cancelled calls or pings"
    loop.report("framed_flood", problem, peer: connection.peer)
    goAway(problem)
    end()
    connection.finish()
  }

  /// Rejects new calls, and closes the connection when the open ones have ended.
  func drain(_ reason: String) {
    guard state == .open else { return }
    state = .draining
    goAway(reason)
    // The grace period starts before the streams are notified, so that a stream that ends at once does not close the
    // connection.
    drainTimer = worker.schedule(after: FramedLimits.drainGracePeriod) { [unowned self] in
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

  /// Drains the connection when it has reached its maximum age, plus or minus up to a tenth, so that the connections
  /// that clients opened after a restart do not all drain at the same time.
  func limitAge() {
    guard loop.limits.maximumAge > .zero else { return }
    let age = loop.limits.maximumAge * Double.random(in: 0.9...1.1)
    ageTimer = worker.schedule(after: age) { [unowned self] in
      ageTimer = nil
      drain("draining")
    }
  }

  /// Drains the connection when nothing has been received for the idle time, because a client that vanished without
  /// closing its connection would occupy a slot. A flag is checked periodically, which costs less than reading the
  /// clock at each call.
  func limitIdleness() {
    guard loop.limits.idleTimeout > .zero else { return }
    wasActive = false
    idleTimer = worker.schedule(after: loop.limits.idleTimeout) { [unowned self] in
      idleTimer = nil
      guard !wasActive, streams.isEmpty else { return limitIdleness() }
      connection.recordRejection(.idleConnection, "No bytes received for \(loop.limits.idleTimeout.seconds) s")
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
