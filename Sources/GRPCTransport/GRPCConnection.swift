// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// The server side of one connection that uses gRPC. It is used on its event loop's thread only.
///
/// This file has the input and output of bytes, and the life cycle of the connection. The calls are in
/// `GRPCConnection+Calls.swift`, the callbacks of nghttp2 in `GRPCConnection+Frames.swift`.
final class GRPCConnection: ConnectionProtocol {
  enum State {
    case open
    /// The first GOAWAY has been sent. New calls are accepted until the client has received it.
    case draining
    /// The last GOAWAY has been sent. The connection closes after the last open call.
    case goneAway
    /// The connection neither reads nor writes any more.
    case over
  }

  let loop: GRPCLoop
  let session: HTTP2Session
  /// Nil if the server requires no credentials.
  let identities: RPCIdentities?
  let connection: Connection
  private(set) var state = State.open
  private var scanner: HTTP2FrameScanner
  var floodGuard: FloodGuard
  var keepalive: Keepalive
  /// The time at which the bytes that are being processed were received, or slightly before that.
  private(set) var now: MonotonicTime

  /// The open streams. The tag of a stream in nghttp2 is its index in this array plus one.
  private(set) var streams: [GRPCStream?] = []
  private var freePlaces: [Int] = []
  var openStreamCount: Int { streams.count - freePlaces.count }
  /// Number of open calls of methods with their own limit, by the name of the limit.
  private(set) var openCalls: [ServerLimit: Int] = [:]
  /// The stream that was looked up last; the next lookup mostly is for the same one.
  private var latest: GRPCStream?
  /// The stream whose headers are being received.
  var headersStream: GRPCStream?
  /// The first problem of the trailers that are being received.
  var trailerProblem: HTTP2RequestRules.Problem?
  /// Number of buffered reply bytes that no other connection shares.
  var ownReplyBytes = 0 {
    didSet { connection.protocolByteCount += ownReplyBytes - oldValue }
  }
  /// Number of buffered bytes of requests, with their metadata.
  var requestBytes = 0 {
    didSet { connection.protocolByteCount += requestBytes - oldValue }
  }
  /// The streams to be notified when the client reads again, in order of arrival.
  private var waitingStreams: [GRPCStream] = []
  /// The streams to be notified when the other streams of the connection hold less.
  private var crowdedStreams: [GRPCStream] = []

  /// The time at which a call was last open.
  private var lastCall: MonotonicTime

  private var ageTimer: (any RPCTimer)?
  private var drainTimer: (any RPCTimer)?
  private var drainReason: StaticString = ""
  /// The error code of a GOAWAY that is the last frame to be sent.
  private var lastError: UInt32?
  /// The description of the flood for which the connection ends; nil if there was none.
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
    // The SETTINGS frame is sent at the end of the event-loop iteration.
    connection.requestIterationEnd()
  }

  var worker: any RPCWorker { loop.eventLoop }
  var isWritable: Bool { connection.isWritable }

  // MARK: Bytes

  func received(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard state != .over else { return bytes.count }
    now = loop.eventLoop.iterationBegan
    keepalive.heard(now)
    floodGuard.refill(now)
    var used = 0
    while used < bytes.count, state != .over {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
      let scan = scanner.scan(rest, until: GRPCLimits.inputSliceBytes)
      floodGuard.spend(scan.cost)
      if floodGuard.isExhausted || scan.isBlockTooLong {
        sendEnhanceYourCalm(
          "flood", scan.isBlockTooLong ? "a header block is too long" : "too many frames without effect")
        return bytes.count
      }
      guard scan.usable > 0 else { break }
      let isSound = session.receive(UnsafeRawBufferPointer(rebasing: rest[..<scan.usable]))
      used += scan.usable
      send()
      if !isSound, state != .over {
        close(with: .protocolErrors, "grpc_protocol_error", "the bytes received are not HTTP/2")
      }
      if used < bytes.count, connection.isIterationOver {
        connection.leaveInput()
        break
      }
    }
    return state == .over ? bytes.count : used
  }

  /// Schedules the output of queued frames for the end of the event-loop iteration, together with everything else.
  func askToSend() {
    connection.requestIterationEnd()
  }

  func onIterationEnd() {
    send()
  }

  func writable() {
    now = .now
    send()
  }

  /// Writes the output of nghttp2 while the connection is writable, then notifies the streams that waited for this.
  private func send() {
    guard state != .over else { return }
    repeat { writeOutput() } while tellWaiting()
    if state != .over, session.isOver { end(.finish) }
  }

  private func writeOutput() {
    while state != .over, connection.isWritable, let output = session.nextOutput() {
      connection.extendOutput(by: output.count)?.copyMemory(from: output)
      // Frames that nghttp2 would send after a GOAWAY with an error are of no use.
      if let lastError { close(with: lastError) }
    }
  }

  enum WriteOutcome {
    case written
    /// The connection is not writable.
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

  /// Registers a stream that must wait although it has nothing buffered itself.
  func awaitLessOfOthers(_ stream: GRPCStream) {
    crowdedStreams.append(stream)
  }

  /// Notifies the streams that wait. Returns whether any stream was notified.
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
      // Streams that are not notified now, because the ones before them filled the connection again, come first next
      // time.
      guard state != .over, connection.isWritable else {
        waitingStreams = line[index...] + waitingStreams
        break
      }
      stream.becameWritable()
    }
    return true
  }

  func inputStalled() {
    close(with: .protocolErrors, "grpc_stalled", "a frame or a header block was started and not completed in time")
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
    connection.protocolByteCount += GRPCLimits.openStreamBytes
    session.setTag(place + 1, of: id)
    latest = stream
    return stream
  }

  /// The stream with this id; nil if it has been closed, or was refused before it was opened.
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
    connection.protocolByteCount -= GRPCLimits.openStreamBytes
    if stream.phase == .open {
      floodGuard.spend(FloodGuard.cost(ofCancelledWork: stream.openingWork))
      callEnded(stream, .cancelled)
      stream.cancel()
    } else {
      stream.close()
    }
    loop.release(stream)
  }

  /// Counts a call that a handler has accepted.
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
      let stalled = now.duration(since: stream.lastProgress)
      if stream.phase == .request, stalled >= loop.limits.requestTimeout {
        let limit = loop.limits.requestTimeout.seconds
        stream.fail(RPCStatus(.requestTimeout, "the request was not complete within \(limit) s"))
      } else if stream.isDropping, stalled >= loop.limits.droppedRequestTimeout {
        stream.giveUpRequest()
      } else if stream.isUnary, stream.hasPendingReply, stalled >= loop.limits.stalledReplyTimeout {
        stream.reset(.enhanceYourCalm)
      }
    }
  }

  private func drainIfIdle() {
    guard loop.limits.idleTimeout > .zero, state == .open else { return }
    if openStreamCount > openCalls.values.reduce(0, +) { lastCall = now }
    guard now.duration(since: lastCall) >= loop.limits.idleTimeout else { return }
    connection.recordRejection(.idleConnection, "No call was open for \(loop.limits.idleTimeout.seconds) s")
    drain("idle")
  }

  /// Drains the connection when it has reached its maximum age, plus or minus up to a tenth, so that the connections
  /// that clients opened after a restart do not all drain at the same time.
  func limitAge(_ maximum: Duration) {
    guard maximum > .zero else { return }
    ageTimer = worker.schedule(after: maximum * Double.random(in: 0.9...1.1)) { [weak self] in
      self?.ageTimer = nil
      self?.drain("max_age")
    }
  }

  static let keepalivePayload: UInt64 = 0x6b65_6570_616c_6976
  static let drainPayload: UInt64 = 0x6472_6169_6e69_6e67

  // MARK: The end

  /// Asks the client to use another connection, in two steps: a call that is in transit when the first GOAWAY arrives
  /// is still accepted, so no call is rejected that the client sent before it could react.
  func drain(_ reason: StaticString) {
    guard state == .open else { return }
    state = .draining
    drainReason = reason
    session.submitShutdownNotice()
    // The acknowledgement of this PING shows that the client has read the first GOAWAY.
    session.submitPing(Self.drainPayload)
    drainTimer = worker.schedule(after: loop.limits.drainGracePeriod) { [weak self] in
      self?.drainTimer = nil
      self?.goAway()
    }
    askToSend()
    for stream in streams { stream?.draining() }
  }

  /// Sends the last GOAWAY, which is the second step of a drain.
  func goAway() {
    guard state == .draining else { return }
    state = .goneAway
    drainTimer?.cancel()
    drainTimer = nil
    session.submitGoAway(.none, drainReason)
    askToSend()
  }

  /// Closes the connection after a flood, with a GOAWAY that has the code ENHANCE_YOUR_CALM and the reason.
  func sendEnhanceYourCalm(_ reason: StaticString, _ problem: String) {
    guard state != .over else { return }
    floodProblem = problem
    session.submitGoAway(.enhanceYourCalm, reason)
    // The GOAWAY is written if the connection is writable. A client that does not read receives no reason.
    writeOutput()
    close(with: .floods, "grpc_flood", problem)
  }

  /// Called when the next output is a GOAWAY.
  func onGoAway(_ code: UInt32) {
    if code != HTTP2Session.ErrorCode.none.rawValue { lastError = code }
  }

  private func close(with code: UInt32) {
    let isFlood = code == HTTP2Session.ErrorCode.enhanceYourCalm.rawValue
    close(
      with:
        isFlood ? .floods : .protocolErrors, isFlood ? "grpc_flood" : "grpc_protocol_error",
      floodProblem ?? "the connection was closed with HTTP/2 error \(code)")
  }

  private func close(with counter: GRPCCounter, _ event: String, _ problem: String) {
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

  private enum GoAwayPhase {
    /// Send what has been written, and close the connection.
    case finish
    /// The connection is being closed by other code.
    case leave
  }

  private func end(_ goAwayPhase: GoAwayPhase) {
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
      connection.protocolByteCount -= GRPCLimits.openStreamBytes
      if stream.phase == .open {
        callEnded(stream, .cancelled)
        stream.cancel()
      } else {
        stream.close()
      }
      loop.release(stream)
    }
    if goAwayPhase == .finish { connection.finish() }
  }
}
