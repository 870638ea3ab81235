// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
public import ConfigLookupCore
public import ConfigLookupRPC
internal import ConfigLookupTLS
internal import Glibc

/// An accepted connection: it reads and writes bytes, and handles a peer or a protocol that is slow.
///
/// It is used on its event loop's thread only. What is written is sent at the end of the event-loop iteration. An
/// object is never deallocated within a call to it: closing frees its descriptor and events and marks it as closed, and
/// ``ConnectionProtocol/closed()`` is called at the end of the iteration. An idle connection holds no buffer.
public final class Connection: LoopResident {
  enum State {
    case open
    /// The connection sends what has been written, then closes its sending side. Input is discarded.
    case finishing
    /// The connection has closed its sending side and waits until the peer does the same.
    case lingering
    case closed
  }

  /// The event loop of the connection.
  public let loop: EventLoop
  let port: Port
  private let host: PeerHost
  private(set) var stream: any ByteStream
  let descriptor: Int32
  private(set) var state = State.open
  private(set) var handler: (any ConnectionProtocol)?

  // Reading
  var readEvent: OpaquePointer?
  /// The input that the protocol handler could not use yet: the beginning of a frame, or frames that wait while the
  /// peer does not read.
  let input = ByteQueue()
  /// Whether the read event is disabled, because the peer does not read its replies or the connection waits in the
  /// loop's queue.
  var isReadPaused = false
  /// Whether the connection is read in small pieces, through the loop's queue and after the connections with normal
  /// priority. This is so while it is new, and when its last read filled the buffer. It limits how long other
  /// connections wait for it.
  var isLowPriority = true
  var hasInputEnded = false
  /// Number of deliveries in which the protocol handler used input. It distinguishes an incomplete frame from the next
  /// one.
  var inputProgress: UInt64 = 0
  var inputTimer: (any RPCTimer)?
  /// Whether no bytes have been received yet.
  var isUnheard = true
  /// Whether a read must wait until the socket is writable, and whether a write must wait until something has been
  /// read. Only TLS requires this.
  var readAwaitsWrite = false
  var writeAwaitsRead = false
  /// The timer that runs until the handshake has been completed.
  private var handshakeTimer: (any RPCTimer)?

  // Writing
  var writeEvent: OpaquePointer?
  var isWriteAwaited = false
  /// The bytes that have not been sent; nil if there are none. The buffer is borrowed from the loop.
  var output: ByteQueue?
  /// Number of bytes that the kernel had not sent yet, or of which the receipt had not been acknowledged, at the last
  /// check.
  var kernelUnsent: Int32 = 0
  private var lingerTimer: (any RPCTimer)?

  /// Number of bytes that the protocol handler itself holds, which it keeps up to date: replies that have not been
  /// written yet, and incomplete requests.
  public var protocolByteCount = 0
  /// Number of bytes that the connection is charged: those of the connection itself, of both buffers, and of the
  /// protocol handler.
  public private(set) var bufferedByteCount = 0

  // Obligations to the loop
  var isTouched = false
  /// Whether the protocol handler must be called before the bytes of this iteration are sent.
  var owesIterationEnd = false
  var isResuming = false
  /// The protocol left input because the iteration has used its time.
  var hasLeftInput = false
  /// Whether the connection became not writable, so that the protocol handler must be notified when it is again.
  var owesWritable = false
  var isInputFirst = false

  /// Whether the peer reads quickly enough. False from the high-water mark of unsent bytes until they are below the
  /// low-water mark.
  public internal(set) var isWritable = true

  /// Whether the event-loop iteration has used its time. A protocol then handles one more request at most, calls
  /// ``leaveInput()`` and returns: the rest is delivered again in a later iteration, after other connections.
  public var isIterationOver: Bool {
    MonotonicTime.now.nanoseconds &- loop.iterationBegan.nanoseconds >= ConnectionLimits.iterationNanoseconds
  }

  /// Leaves the rest of the delivered input to a later event-loop iteration.
  public func leaveInput() { hasLeftInput = true }

  /// Takes over `descriptor`, which must be non-blocking, and the slot of `host` in the quota. Nil if there is no
  /// memory.
  init?(loop: EventLoop, descriptor: Int32, host: PeerHost, port: Port) {
    guard let stream = port.stream(over: descriptor) else { return nil }
    self.loop = loop
    self.descriptor = descriptor
    self.host = host
    self.port = port
    self.stream = stream
    // The pointer is unretained, because the events are freed in `close`, and the loop holds `self` until then.
    let pointer = Unmanaged.passUnretained(self).toOpaque()
    readEvent = event_new(loop.base, descriptor, Int16(EV_READ | EV_PERSIST), connectionReadable, pointer)
    writeEvent = event_new(loop.base, descriptor, Int16(EV_WRITE | EV_PERSIST), connectionWritable, pointer)
    loop.add(self)
  }

  deinit {
    precondition(state == .closed, "a connection must be closed")
  }

  /// Starts to read.
  func start(_ handler: any ConnectionProtocol) {
    guard state == .open else { return handler.closed() }
    self.handler = handler
    countBuffers()
    event_add(readEvent, nil)
    guard stream.isHandshaking else { return }
    handshakeTimer = loop.schedule(after: limits.handshakeTimeout) { [weak self] in
      guard let self else { return }
      handshakeFailed(TLSFailure(.timedOut, "the handshake did not finish within \(limits.handshakeTimeout.seconds) s"))
    }
  }

  /// Replaces the protocol handler, for a handler that selects the protocol by the first bytes. The new handler
  /// receives the bytes that the previous one did not use; the previous one is not called again.
  ///
  /// - Parameter handler: The new protocol handler.
  public func become(_ handler: any ConnectionProtocol) {
    guard state == .open else { return }
    self.handler = handler
  }

  /// Whether the connection has been closed.
  public var isClosed: Bool { state == .closed }

  var limits: ConnectionLimits { port.limits }

  /// Counts and logs that the peer has reached a limit.
  ///
  /// - Parameters:
  ///   - limit: The limit.
  ///   - message: What happened, for the log.
  public func recordRejection(_ limit: ServerLimit, _ message: @autoclosure () -> String) {
    port.report.recordRejection(limit, message(), peer: peer)
  }

  /// Checks that the limit on buffered bytes of the server is not exceeded.
  ///
  /// - Throws: RESOURCE_EXHAUSTED if it is exceeded.
  public func requireRoom() throws(RPCStatus) {
    try loop.account.budget.requireRoom()
  }

  /// The address of the peer; "unknown" after the connection has been closed.
  public var peer: String {
    state == .closed ? "unknown" : SocketAddress.peer(of: descriptor)?.description ?? "unknown"
  }

  /// Number of bytes that have been written and not accepted by the socket yet.
  public var unsentByteCount: Int { output?.count ?? 0 }

  /// Extends the output. The caller must fill the returned memory at once.
  ///
  /// - Parameter count: The number of bytes.
  /// - Returns: The memory; nil if nothing can be sent any more.
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

  /// Number of further bytes, up to the high-water mark, that may be written before the connection is not writable any
  /// more.
  public var writableByteCount: Int { max(0, limits.unsentBytesHigh - unsentByteCount) }

  /// Requests a call of ``ConnectionProtocol/onIterationEnd()`` before the bytes of this event-loop iteration are sent,
  /// for a protocol handler that collects what is written in an iteration.
  public func requestIterationEnd() {
    guard state == .open, !owesIterationEnd else { return }
    owesIterationEnd = true
    touch()
  }

  /// Schedules the connection to be flushed at the end of the event-loop iteration.
  func touch() {
    guard !isTouched else { return }
    isTouched = true
    loop.touch(self)
  }

  /// Sends what has been written, then closes the connection so that the peer can read it to the last byte. Nothing
  /// more can be written.
  public func finish() {
    guard state == .open else { return }
    state = .finishing
    input.dropFirst(input.count)
    inputTimer?.cancel()
    inputTimer = nil
    // What the peer still sends is read and discarded. Unread input would turn the close into a reset.
    if isReadPaused, !hasInputEnded { event_add(readEvent, nil) }
    isReadPaused = false
    touch()
  }

  /// Closes the sending side after ``finish()``, when everything has been sent.
  func finishWriting() {
    guard state == .finishing else { return }
    guard stream.finishWriting() else { return awaitWritable() }
    guard !hasInputEnded else { return close() }
    state = .lingering
    lingerTimer = loop.schedule(after: limits.lingerTimeout) { [weak self] in
      self?.lingerTimer = nil
      self?.close()
    }
  }

  /// Closes the connection because the peer reads too slowly, and counts and logs that.
  func closeStalled(_ problem: String) {
    loop.counters.add(to: NetworkCounter.connectionsStalled.rawValue)
    port.peers.stalled(problem, peer: peer, unsentBytes: unsentByteCount)
    close()
  }

  /// Detects the end of the handshake. To be called after each read.
  func noteHandshake() {
    guard let handshakeTimer, !stream.isHandshaking else { return }
    handshakeTimer.cancel()
    self.handshakeTimer = nil
    loop.counters.add(to: NetworkCounter.handshakes.rawValue)
  }

  /// Closes the connection after a failed read or write.
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
    // The peer should be able to read the reason (a TLS alert), which a reset would overtake. Nothing else is ever sent
    // without TLS.
    if let output { loop.release(output) }
    output = nil
    stream = PlainSocket(descriptor: descriptor)
    finish()
  }

  /// Closes the connection now. Unsent bytes are lost.
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
    if let output { loop.release(output) }
    output = nil
    isWritable = false
    countBuffers()
    loop.counters.add(to: NetworkCounter.connectionsClosed.rawValue)
    loop.remove(self)
    loop.deferRelease(of: self)
  }

  /// Notifies the protocol handler, at the end of the iteration in which the connection was closed.
  func wasClosed() {
    let handler = handler
    self.handler = nil
    handler?.closed()
    // The slot is released last, so that all calls have ended when ``ConnectionQuota/waitUntilEmpty(deadline:)``
    // returns.
    port.quota.release(host)
  }

  func loopStops() {
    close()
  }

  /// Number of bytes that the connection takes with empty buffers.
  var ownByteCount: Int {
    ConnectionLimits.connectionBytes + (port.tls == nil ? 0 : ConnectionLimits.tlsConnectionBytes)
  }

  /// Updates the number of bytes that the connection is charged. To be called at the end of a read or of an iteration's
  /// writes: bytes that come and go in between are not counted.
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
  /// Closes the connection, because the server holds too many bytes and this connection holds many of them.
  public func giveUpBuffers() {
    loop.account.budget.recordRejection("Disconnected a client with \(bufferedByteCount) buffered bytes", peer: peer)
    close()
  }
}

extension Connection: RPCPeer {
  /// The address of the peer; "unknown" after the connection has been closed.
  public var address: String { peer }

  /// The names in the peer's verified certificate, such as `dns:worker.example`. Empty if it has none.
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
