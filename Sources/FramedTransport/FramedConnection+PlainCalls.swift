// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

extension FramedConnection {
  /// Answers the calls at the beginning of the bytes on the fast path. It stops at the first call that the fast path
  /// cannot answer, or when the peer reads too slowly. Returns the number of bytes of the frames that were answered.
  func answerPlainCalls(_ bytes: UnsafeRawBufferPointer) -> Int {
    let batch = loop.plainBatch
    let (identity, limit) = (helloIdentity, loop.limits.frameBytes)
    var used = 0
    while state == .open, connection.isWritable {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
      guard let method = batch.gather(rest, limit: limit, methods: loop.plainMethods) else { break }
      let outcome = batch.answer(method.calls, identity, atMost: connection.writableByteCount) { id in
        !streams.isEmpty && streams[id] != nil
      }
      guard outcome.count > 0 else { break }
      used += outcome.bytes
      loop.counters.add(.framesReceived, UInt64(outcome.count))
      loop.counters.add(.framesSent, UInt64(outcome.count))
      loop.calls.ended(method.method, .ok, count: UInt64(outcome.count))
      connection.send(batch.runs)
    }
    return used
  }
}
