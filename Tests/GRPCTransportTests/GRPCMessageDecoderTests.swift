// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import TestSupport
import Testing

@testable import GRPCTransport

struct GRPCMessageDecoderTests {
  /// The messages that result from bytes which arrive in pieces.
  private func messages(_ pieces: [[UInt8]], limit: Int = 100) throws(RPCStatus) -> (messages: [[UInt8]], rest: Bool) {
    var decoder = GRPCMessageDecoder()
    var found: [[UInt8]] = []
    for piece in pieces {
      piece.withUnsafeBytes { decoder.append($0) }
      while let place = try decoder.next(limit: limit) { found.append(decoder.withMessage(place) { Array($0) }) }
      decoder.dropRead()
    }
    #expect(decoder.messageCount == found.count)
    return (found, decoder.hasRest)
  }

  @Test func everySplitGivesTheSame() throws {
    let bytes = prefixed([]) + prefixed([1, 2, 3]) + prefixed([UInt8](repeating: 7, count: 20)) + [0, 0]
    let expected: [[UInt8]] = [[], [1, 2, 3], [UInt8](repeating: 7, count: 20)]
    for first in 0...bytes.count {
      for second in first...bytes.count {
        let pieces = [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])]
        let (found, hasRest) = try messages(pieces)
        #expect(found == expected && hasRest, "split at \(first) and \(second)")
      }
    }
    #expect(try messages(bytes.map { [$0] }).messages == expected)
    #expect(try !messages([prefixed([1])]).rest)
  }

  /// The prefix itself is rejected, before any byte after it is received.
  @Test(
    arguments: [
      ([0, 0, 0, 0, 101], ErrorReason.messageTooLarge), ([0, 0xff, 0xff, 0xff, 0xff], .messageTooLarge),
      ([1, 0, 0, 0, 1], .malformedFraming), ([2, 0, 0, 0, 0], .malformedFraming),
    ] as [([UInt8], ErrorReason)])
  func badPrefixes(prefix: [UInt8], reason: ErrorReason) {
    let error = #expect(throws: RPCStatus.self) { try messages([prefix]) }
    #expect(error?.reason == reason)
    // It is not rejected before it is complete.
    #expect(throws: Never.self) { try messages([prefix.dropLast()]) }
  }

  @Test func theLimitItselfIsTaken() throws {
    #expect(try messages([prefixed([UInt8](repeating: 1, count: 100))]).messages.first?.count == 100)
  }

  @Test func aMessageCanBeReadUntilMoreComes() throws {
    var decoder = GRPCMessageDecoder()
    (prefixed([1, 2]) + prefixed([3])).withUnsafeBytes { decoder.append($0) }
    let first = try #require(try decoder.next(limit: 100))
    let second = try #require(try decoder.next(limit: 100))
    #expect(decoder.withMessage(first) { Array($0) } == [1, 2])
    #expect(decoder.withMessage(second) { Array($0) } == [3])
    decoder.reset(keepingCapacity: 1024)
    #expect(!decoder.hasRest && decoder.messageCount == 0)
    #expect(try decoder.next(limit: 100) == nil)
  }
}

/// A message with its prefix.
func prefixed(_ message: [UInt8]) -> [UInt8] {
  [0] + withUnsafeBytes(of: UInt32(message.count).bigEndian) { Array($0) } + message
}
