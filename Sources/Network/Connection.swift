internal import CLibevent
public import Core
internal import Glibc
public import RPC
internal import TLS

/// One accepted socket: bytes in, bytes out, and what to do when either side is slow.
///
/// Loop thread only. What is written is sent when the turn ends. Never destroyed within its own call: closing marks
/// it and frees its descriptor and events; the protocol hears ``ConnectionProtocol/closed()`` when the turn ends.
/// An idle connection holds no buffer.
public final class Connection: LoopResident {
  enum State {
    case open
    /// Sends what it has, then ends its side; input is thrown away.
    case finishing
    /// Has ended its side and waits for the peer to do the same.
    case lingering
    case closed
  }

  public let loop: EventLoop
  let port: Port
  private let host: PeerHost
  private(set) var stream: any ByteStream
  let descriptor: Int32
  private(set) var state = State.open
  private(set) var handler: (any ConnectionProtocol)?

  // Reading
  var readEvent: OpaquePointer?
  /// What the protocol could not use yet: the start of a frame, or frames that wait while the peer does not read.
  let input = ByteQueue()
  /// The read event is disabled: the peer does not read its replies, or the connection waits in the loop's queue.
  var isReadPaused = false
  /// The connection is read in small pieces, through the loop's queue and after the connections that have normal
  /// priority: it is new, or its last read filled the buffer. This bounds how long other connections wait for it.
  var isLowPriority = true
  var hasInputEnded = false
  /// Counts deliveries that used something: tells one incomplete frame from the next.
  var inputProgress: UInt64 = 0
  var inputTimer: (any RPCTimer)?
  /// Whether the first bytes are still to come.
  var isUnheard = true
  /// A read must wait until the socket has room; a write, until something has been read. Only TLS has such.
  var readAwaitsWrite = false
  var writeAwaitsRead = false
  /// Runs until the handshake is over.
  private var handshakeTimer: (any RPCTimer)?

  // Writing
  var writeEvent: OpaquePointer?
  var isWriteAwaited = false
  /// Unsent bytes; taken from the loop when there are some, and given back.
  var output: ByteQueue?
  /// What the kernel had not yet got acknowledged when it was last looked at.
  var kernelUnsent: Int32 = 0
  private var lingerTimer: (any RPCTimer)?

  /// Bytes that wait in the protocol itself, which says so: replies not written yet, requests that are not whole.
  public var protocolByteCount = 0
  /// Of the connection itself, of both sides, and of the protocol.
  public private(set) var bufferedByteCount = 0

  // Promises to the loop
  var isTouched = false
  /// The protocol asked to be called before what it wrote is sent.
  var owesTurnEnd = false
  var isResuming = false
  /// The protocol was told to wait and must be told to go on.
  var owesWritable = false
  var isInputFirst = false

  /// Whether the peer keeps up. False from the high mark of unsent bytes until they are below the low one.
  public internal(set) var isWritable = true

  /// Takes over `descriptor`, which must not block, and the place of `host` in the quota. Nil without memory.
  init?(loop: EventLoop, descriptor: Int32, host: PeerHost, port: Port) {
    guard let stream = port.stream(over: descriptor) else { return nil }
    self.loop = loop
    self.descriptor = descriptor
    self.host = host
    self.port = port
    self.stream = stream
    // Unretained: the events are freed in `close`, and the loop holds `self` until then.
    let pointer = Unmanaged.passUnretained(self).toOpaque()
    readEvent = event_new(loop.base, descriptor, Int16(EV_READ | EV_PERSIST), connectionReadable, pointer)
    writeEvent = event_new(loop.base, descriptor, Int16(EV_WRITE | EV_PERSIST), connectionWritable, pointer)
    loop.add(self)
  }

  deinit {
    precondition(state == .closed, "a connection must be closed")
  }

  /// Begins to read.
  func start(_ handler: any ConnectionProtocol) {
    guard state == .open else { return handler.closed() }
    self.handler = handler
    countBuffers()
    event_add(readEvent, nil)
    guard stream.isHandshaking else { return }
    handshakeTimer = loop.schedule(afterSeconds: limits.handshakeSeconds) { [weak self] in
      guard let self else { return }
      handshakeFailed(TLSFailure(.timedOut, "the handshake did not finish within \(limits.handshakeSeconds) s"))
    }
  }

  /// Hands the connection to another protocol, which gets what the one before did not use. For a protocol that finds
  /// out from the first bytes which one is spoken; the one before is not called again.
  public func become(_ handler: any ConnectionProtocol) {
    guard state == .open else { return }
    self.handler = handler
  }

  public var isClosed: Bool { state == .closed }

  var limits: ConnectionLimits { port.limits }

  /// The peer has reached a limit, and felt it.
  public func reached(_ limit: ServerLimit, _ message: @autoclosure () -> String) {
    port.report.reached(limit, message(), peer: peer)
  }

  /// Throws if no more may come to wait on this server.
  public func requireRoom() throws(RPCStatus) {
    try loop.account.budget.requireRoom()
  }

  /// Where the peer is; "unknown" once closed.
  public var peer: String {
    state == .closed ? "unknown" : SocketAddress.peer(of: descriptor)?.description ?? "unknown"
  }

  /// Bytes that the peer has not taken yet.
  public var unsentByteCount: Int { output?.count ?? 0 }

  /// Makes room for `count` bytes to be sent, which the caller fills at once. Nil if nothing can be sent any more.
  public func extendOutput(by count: Int) -> UnsafeMutableRawBufferPointer? {
    guard state == .open else { return nil }
    let queue: ByteQueue
    if let output {
      queue = output
    } else {
      queue = loop.takeBuffer()
      output = queue
    }
    guard queue.count + count <= limits.unsentBytesLimit else {
      closeStalled("The peer reads its streams too slowly")
      return nil
    }
    touch()
    let room = queue.extend(by: count)
    if queue.count > limits.unsentBytesHigh {
      isWritable = false
      owesWritable = true
    }
    return room
  }

  /// The peer no longer keeps up once more bytes than this wait in addition; at most those of the high mark.
  public var writableByteCount: Int { max(0, limits.unsentBytesHigh - unsentByteCount) }

  /// Has ``ConnectionProtocol/turnEnds()`` called before the turn's bytes are sent: for a protocol that gathers what is
  /// written in a turn.
  public func askAtTurnEnd() {
    guard state == .open, !owesTurnEnd else { return }
    owesTurnEnd = true
    touch()
  }

  /// Has it flushed when the turn ends.
  func touch() {
    guard !isTouched else { return }
    isTouched = true
    loop.touch(self)
  }

  /// Sends what was written, then closes so that the peer can read it to the last byte. No more can be written.
  public func finish() {
    guard state == .open else { return }
    state = .finishing
    input.dropFirst(input.count)
    inputTimer?.cancel()
    inputTimer = nil
    // What the peer still sends is read and dropped: unread, it would turn our close into a reset.
    if isReadPaused, !hasInputEnded { event_add(readEvent, nil) }
    isReadPaused = false
    touch()
  }

  /// All is sent, after ``finish()``.
  func finishWriting() {
    guard state == .finishing else { return }
    guard stream.finishWriting() else { return awaitWritable() }
    guard !hasInputEnded else { return close() }
    state = .lingering
    lingerTimer = loop.schedule(afterSeconds: limits.lingerSeconds) { [weak self] in
      self?.lingerTimer = nil
      self?.close()
    }
  }

  /// Closes because of a slow peer, which costs itself: a metric and a line.
  func closeStalled(_ problem: String) {
    loop.counters.add(to: NetworkCounter.connectionsStalled.rawValue)
    port.peers.stalled(problem, peer: peer, unsentBytes: unsentByteCount)
    close()
  }

  /// To be called after each read.
  func noteHandshake() {
    guard let handshakeTimer, !stream.isHandshaking else { return }
    handshakeTimer.cancel()
    self.handshakeTimer = nil
    loop.counters.add(to: NetworkCounter.handshakes.rawValue)
  }

  /// Reading or writing has failed.
  func streamFailed(_ problem: ByteStreamProblem) {
    guard case .tls(let failure) = problem, handshakeTimer != nil else { return close() }
    handshakeFailed(failure)
  }

  private func handshakeFailed(_ failure: TLSFailure) {
    handshakeTimer?.cancel()
    handshakeTimer = nil
    loop.handshakeFailures.add(to: failure.reason.index)
    port.peers.failed(failure, peer: peer)
    guard state == .open, failure.reason != .abandoned else { return close() }
    // The peer shall read why, which a reset would overtake. Nothing of ours is ever sent without TLS.
    if let output { loop.giveBack(output) }
    output = nil
    stream = PlainSocket(descriptor: descriptor)
    finish()
  }

  /// Closes now; what is unsent is lost.
  public func close() {
    guard state != .closed else { return }
    state = .closed
    for event in [readEvent, writeEvent] { if let event { event_free(event) } }
    readEvent = nil
    writeEvent = nil
    Glibc.close(descriptor)
    inputTimer?.cancel()
    inputTimer = nil
    lingerTimer?.cancel()
    lingerTimer = nil
    handshakeTimer?.cancel()
    handshakeTimer = nil
    if let output { loop.giveBack(output) }
    output = nil
    isWritable = false
    countBuffers()
    loop.counters.add(to: NetworkCounter.connectionsClosed.rawValue)
    loop.remove(self)
    loop.bury(self)
  }

  /// The turn in which it was closed has ended.
  func wasClosed() {
    let handler = handler
    self.handler = nil
    handler?.closed()
    // Last, so that who waits for "none open" finds all calls ended.
    port.quota.giveBack(host)
  }

  func loopStops() {
    close()
  }

  /// What it takes with nothing in its buffers.
  var ownByteCount: Int { Limits.connectionBytes + (port.tls == nil ? 0 : Limits.tlsConnectionBytes) }

  /// To be called when a turn's writing or a read is done: what comes and goes within is not counted.
  func countBuffers() {
    var count = 0
    if state != .closed { count = ownByteCount + (output?.capacity ?? 0) + input.capacity + protocolByteCount }
    guard count != bufferedByteCount else { return }
    let before = bufferedByteCount
    bufferedByteCount = count
    loop.account.change(self, from: before, to: count)
  }
}

extension Connection: BufferHolder {
  public func giveUpBuffers() {
    loop.account.budget.reached("Disconnected a client with \(bufferedByteCount) buffered bytes", peer: peer)
    close()
  }
}

extension Connection: RPCPeer {
  public var address: String { peer }

  public var certificateNames: [String] { stream.peerNames.map(\.description) }
}

private func connectionReadable(_: Int32, _: Int16, _ argument: UnsafeMutableRawPointer?) {
  guard let argument else { return }
  let connection = Unmanaged<Connection>.fromOpaque(argument).takeUnretainedValue()
  connection.loop.beginWork()
  connection.socketReadable()
}

private func connectionWritable(_: Int32, _ what: Int16, _ argument: UnsafeMutableRawPointer?) {
  guard let argument else { return }
  let connection = Unmanaged<Connection>.fromOpaque(argument).takeUnretainedValue()
  connection.loop.beginWork()
  if what & Int16(EV_WRITE) != 0 { connection.socketWritable() } else { connection.writeTimedOut() }
}
