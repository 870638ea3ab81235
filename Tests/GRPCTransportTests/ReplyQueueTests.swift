// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import GRPCTransport

struct ReplyQueueTests {
  private func taken(_ queue: inout ReplyQueue, _ count: Int) -> [UInt8] {
    Array(unsafeUninitializedCapacity: count) { buffer, filled in
      queue.take(into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<count])))
      filled = count
    }
  }

  @Test func everySizeOfPieceGivesTheSame() {
    let messages: [([UInt8], [UInt8])] = [([1], [2, 3]), ([], []), ([], [4, 5, 6, 7]), ([8, 9], []), ([10], [11])]
    let expected = messages.flatMap { prefixed($0 + $1) }
    for size in 1...expected.count {
      var queue = ReplyQueue()
      for (head, body) in messages { queue.append(head, body) }
      #expect(queue.byteCount == expected.count && queue.ownByteCount >= 4)
      var out: [UInt8] = []
      while !queue.isEmpty {
        out += taken(&queue, min(size, queue.byteCount))
        #expect(queue.byteCount == expected.count - out.count)
        #expect(queue.isWithinMessage == !isBoundary(out.count, messages))
      }
      #expect(out == expected, "in pieces of \(size)")
      #expect(queue.ownByteCount == 0)
    }
  }

  private func isBoundary(_ place: Int, _ messages: [([UInt8], [UInt8])]) -> Bool {
    var end = 0
    return messages.contains { head, body in
      end += 5 + head.count + body.count
      return end == place
    }
  }

  @Test func plainTextHasNoPrefix() {
    var queue = ReplyQueue()
    queue.append(Array("hello".utf8), [], isMessage: false)
    #expect(taken(&queue, 5) == Array("hello".utf8))
    #expect(queue.isEmpty)
  }

  /// A queue that never becomes empty must not keep messages that have been sent.
  @Test func longQueuesAreTakenAndFilledAtOnce() {
    var random = SeededRandom.fresh("a long queue")
    var queue = ReplyQueue()
    var expected: [UInt8] = []
    var out: [UInt8] = []
    for number in 0..<5000 {
      let message = (0..<random.below(5)).map { UInt8(truncatingIfNeeded: number + $0) }
      queue.append(message, [UInt8(truncatingIfNeeded: number)])
      expected += prefixed(message + [UInt8(truncatingIfNeeded: number)])
      if queue.byteCount > 1000 { out += taken(&queue, random.below(queue.byteCount - 1)) }
    }
    out += taken(&queue, queue.byteCount)
    #expect(out == expected)
  }

  @Test func removedIsRemoved() {
    var queue = ReplyQueue()
    queue.append([1, 2], [3])
    _ = taken(&queue, 6)
    #expect(queue.isWithinMessage)
    queue.removeAll()
    #expect(queue.isEmpty && !queue.isWithinMessage && queue.ownByteCount == 0)
    queue.append([4], [])
    #expect(taken(&queue, 6) == prefixed([4]))
  }
}
