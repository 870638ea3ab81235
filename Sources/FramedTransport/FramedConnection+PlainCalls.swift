internal import Network
internal import RPC

extension FramedConnection {
  /// Answers the plain calls that the bytes begin with, as long as they have plain answers and the peer keeps up; gives
  /// the length of their frames. One loop, and what can be done once for all of them is done around it.
  func answerPlainCalls(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard state == .open, let first = PlainCall(bytes, limit: loop.limits.frameBytes),
      var method = loop.plainMethods.method(named: first.method)
    else { return 0 }
    let (identity, limit, hasStreams) = (helloIdentity, loop.limits.frameBytes, !streams.isEmpty)
    var output = PlainOutput(connection)
    var used = 0
    var count: UInt64 = 0
    var next: PlainCall? = first
    while let call = next, !output.isFull, !hasStreams || streams[call.id] == nil {
      if !method.isNamed(call.method) {
        guard let other = loop.plainMethods.method(named: call.method) else { break }
        ended(method, &count)
        method = other
      }
      guard let reply = method.calls.reply(to: call.request, identity), output.write(reply, id: call.id) else { break }
      used += call.count
      count += 1
      next = PlainCall(UnsafeRawBufferPointer(rebasing: bytes[used...]), limit: limit)
    }
    output.commit()
    ended(method, &count)
    return used
  }

  private func ended(_ method: PlainMethods.Entry, _ count: inout UInt64) {
    guard count > 0 else { return }
    loop.counters.add(.framesReceived, count)
    loop.counters.add(.framesSent, count)
    loop.calls.ended(method.method, .ok, count: count)
    count = 0
  }
}

/// Room of a connection's output that replies are written into, one behind the other.
private struct PlainOutput {
  private let connection: Connection
  private var room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var written = 0
  /// The peer keeps up with so many more.
  private var allowance: Int

  init(_ connection: Connection) {
    self.connection = connection
    allowance = connection.writableByteCount
  }

  /// Whether what has been written is more than the peer keeps up with.
  var isFull: Bool { written > allowance }

  /// False if nothing can be sent any more.
  @inline(__always)
  mutating func write(_ reply: RPCPlainReply, id: UInt32) -> Bool {
    let frame = PlainReplyFrame(id: id, payload: reply.head.count + reply.body.count)
    if room.count - written < frame.count {
      commit()
      guard let more = connection.outputRoom(atLeast: frame.count) else { return false }
      room = more
    }
    guard let start = room.baseAddress else { return false }
    frame.write(reply, to: start + written)
    written += frame.count
    return true
  }

  mutating func commit() {
    connection.commitOutput(written)
    allowance -= written
    written = 0
    room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }
}
