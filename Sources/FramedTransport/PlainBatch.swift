internal import Network
internal import RPC

/// Plain calls of one method that came one behind the other, and their replies: what can be done once for all of them
/// is, and the replies' values are sent from where they lie. One thread; its memory is used again.
final class PlainBatch {
  /// Of a reply, what is not its body: the frame and the metadata.
  private static let headBytes = 1024
  /// A shorter body is copied: that costs less than to send it from where it lies.
  private static let copiedBytes = 512

  private let calls: UnsafeMutablePointer<PlainCall>
  private let messages: UnsafeMutablePointer<UnsafeRawBufferPointer>
  private var count = 0
  private let memory: UnsafeMutableRawPointer
  /// The replies, in order. Lent: until the next batch, or the end of the turn.
  let runs = OutputRuns(capacity: 2 * maximumPlainCalls)

  init() {
    calls = .allocate(capacity: maximumPlainCalls)
    messages = .allocate(capacity: maximumPlainCalls)
    memory = .allocate(byteCount: maximumPlainCalls * (Self.headBytes + Self.copiedBytes), alignment: 16)
  }

  deinit {
    calls.deallocate()
    messages.deallocate()
    memory.deallocate()
  }

  /// Takes the plain calls that the bytes begin with, as far as they are of one method, and gives that.
  func gather(_ bytes: UnsafeRawBufferPointer, limit: Int, methods: PlainMethods) -> PlainMethods.Entry? {
    guard let first = PlainCall(bytes, limit: limit), let method = methods.method(named: first.method) else {
      return nil
    }
    var offset = 0
    var next: PlainCall? = first
    count = 0
    while let call = next, count < maximumPlainCalls, method.isNamed(call.method) {
      (calls + count).initialize(to: call)
      (messages + count).initialize(to: call.request)
      count += 1
      offset += call.count
      next = PlainCall(UnsafeRawBufferPointer(rebasing: bytes[offset...]), limit: limit)
    }
    return method
  }

  /// Answers the calls, up to the first that has no plain answer, or until the replies have more than so many bytes.
  /// Gives how many were answered, and how many bytes their frames had.
  func answer(
    _ method: any RPCPlainCalls, _ identity: RPCIdentity?, atMost limit: Int, isTaken: (UInt32) -> Bool
  ) -> (count: Int, bytes: Int) {
    method.prepare(for: UnsafeBufferPointer(start: messages, count: count))
    runs.removeAll()
    var place = memory
    // Where the run of bytes begins that is being written.
    var start = memory
    var (answered, used, written) = (0, 0, 0)
    while answered < count, written <= limit {
      let call = calls[answered]
      guard !isTaken(call.id), let reply = method.reply(at: answered, identity),
        reply.head.count <= Self.headBytes - PlainReplyFrame.maximumBytes
      else { break }
      let frame = PlainReplyFrame(id: call.id, payload: reply.head.count + reply.body.count)
      frame.write(head: reply.head, to: &place)
      if reply.body.count <= Self.copiedBytes {
        if let body = reply.body.baseAddress { place.copyMemory(from: body, byteCount: reply.body.count) }
        place += reply.body.count
      } else {
        runs.append(UnsafeRawBufferPointer(start: start, count: place - start))
        runs.append(reply.body)
        start = place
      }
      answered += 1
      used += call.count
      written += frame.count
    }
    if place > start { runs.append(UnsafeRawBufferPointer(start: start, count: place - start)) }
    return (answered, used)
  }
}
