// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// A batch of consecutive calls of one method on the fast path, and their replies. Work that is common to the calls is
/// done once for all of them, and larger values are sent without being copied.
///
/// It is used by one thread; its memory is reused.
final class PlainBatch {
  /// Maximum number of bytes of a reply other than its body: the frame's envelope and the head.
  private static let headBytes = 1024
  /// Maximum number of bytes of a body that is copied. Up to this size a copy costs less than sending it in place.
  private static let copiedBytes = 512

  private let calls: UnsafeMutablePointer<PlainCall>
  private let messages: UnsafeMutablePointer<UnsafeRawBufferPointer>
  private var count = 0
  private let memory: UnsafeMutableRawPointer
  /// The replies, in order. They are valid until the next batch, or the end of the event-loop iteration.
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

  /// Collects the fast-path calls of one method at the beginning of the bytes. Returns the entry of that method; nil if
  /// the first frame is not such a call.
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

  /// Answers the calls of the batch, up to the first that the fast path cannot answer, or until the replies exceed
  /// `limit` bytes. Returns the number of calls that were answered, and the number of bytes of their frames.
  func answer(
    _ method: any RPCPlainCalls, _ identity: RPCIdentity?, atMost limit: Int, isTaken: (UInt32) -> Bool
  ) -> (count: Int, bytes: Int) {
    method.prepare(for: UnsafeBufferPointer(start: messages, count: count))
    runs.removeAll()
    var place = memory
    // The beginning of the byte range that is being written.
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
