// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import GRPCTransport

struct HTTP2FrameScannerTests {
  private static let preface = HTTP2FrameScanner.preface

  /// The result of a scanner to which bytes are appended in pieces, while those that it has used are removed.
  private func scan(_ pieces: [[UInt8]], headerBlockBytes: Int = 1000) -> (used: [UInt8], cost: Int, tooLong: Bool) {
    var scanner = HTTP2FrameScanner(headerBlockBytes: headerBlockBytes)
    var waiting: [UInt8] = []
    var used: [UInt8] = []
    var cost = 0
    for piece in pieces {
      waiting += piece
      let scan = waiting.withUnsafeBytes { scanner.scan($0) }
      used += waiting[..<scan.usable]
      waiting.removeFirst(scan.usable)
      cost += scan.cost
      if scan.isBlockTooLong { return (used, cost, true) }
    }
    return (used, cost, false)
  }

  private static let frames: [HTTP2Frame] = [
    .settings([4: 70_000]), HTTP2Frame(.settings, flags: 1), .headers(1, [(":path", "/a")]),
    HTTP2Frame(.headers, stream: 3, [1, 2, 3]), HTTP2Frame(.continuation, stream: 3, [4]),
    HTTP2Frame(.continuation, flags: HTTP2Frame.endHeaders, stream: 3, []),
    .data(1, [], ends: true), .data(3, [UInt8](repeating: 1, count: 300)), .data(3, [1]),
    .windowUpdate(3, 1), .ping([1, 2, 3, 4, 5, 6, 7, 8]), .reset(3), HTTP2Frame(kind: 77, stream: 3, [1]),
  ]
  /// The cost of the frames: SETTINGS 10 and 1, a complete block 0, two CONTINUATION frames 2, DATA 0, 0, and 1 for the
  /// small one, WINDOW_UPDATE 1, PING 2, RST_STREAM 2, the unknown frame 1.
  private static let cost = 20

  @Test func everySplitGivesTheSame() {
    let bytes = Self.preface + Self.frames.flatMap(\.bytes)
    #expect(scan([bytes]) == (bytes, Self.cost, false))
    for split in 0...bytes.count {
      #expect(scan([Array(bytes[..<split]), Array(bytes[split...])]) == (bytes, Self.cost, false), "split at \(split)")
    }
    #expect(scan(bytes.map { [$0] }) == (bytes, Self.cost, false))
  }

  @Test func onlyWholeFramesAndBlocksAreUsed() {
    let block = [HTTP2Frame(.headers, stream: 1, [1, 2]), HTTP2Frame(.continuation, flags: 4, stream: 1, [3])]
    let before = Self.preface + HTTP2Frame.settings().bytes
    let bytes = before + block.flatMap(\.bytes)
    for end in before.count..<bytes.count { #expect(scan([Array(bytes[..<end])]).used == before, "up to \(end)") }
    for end in 0..<Self.preface.count { #expect(scan([Array(bytes[..<end])]).used == []) }
  }

  /// Invalid input is passed to nghttp2, which reports the error.
  @Test func whatIsWrongIsHandedOnAtOnce() {
    let other = Array("GET / HTTP/1.1\r\n".utf8)
    #expect(scan([other]).used == other)
    #expect(scan([Array("PRI * HTTP/1".utf8)]).used == Array("PRI * HTTP/1".utf8))
    // The rest of a frame that is too long is not awaited.
    let long = Self.preface + [0, 0x40, 1, 0, 0, 0, 0, 0, 1]
    #expect(scan([long]).used == long)
    let fits = Self.preface + [0, 0x40, 0, 0, 0, 0, 0, 0, 1]
    #expect(scan([fits]).used == Self.preface)
    // Another frame follows within a block.
    let crossed = Self.preface + HTTP2Frame(.headers, stream: 1, [1]).bytes + HTTP2Frame.ping([0, 0, 0, 0]).bytes
    #expect(scan([crossed]).used.count >= Self.preface.count + 10 + 9)
  }

  @Test func headerBlocksHaveAnEnd() {
    func block(continuations: Int, bytes: Int) -> [UInt8] {
      var frames = [HTTP2Frame(.headers, stream: 1, [UInt8](repeating: 0, count: bytes))]
      for _ in 0..<continuations { frames.append(HTTP2Frame(.continuation, stream: 1)) }
      return Self.preface + frames.flatMap(\.bytes)
    }
    let end = HTTP2Frame(.continuation, flags: HTTP2Frame.endHeaders, stream: 1).bytes
    let most = HTTP2FrameScanner.maximumContinuations
    #expect(scan([block(continuations: most - 1, bytes: 10) + end]).tooLong == false)
    #expect(scan([block(continuations: most, bytes: 10) + end]).tooLong == false)
    #expect(scan([block(continuations: most + 1, bytes: 10) + end]).tooLong)
    // The block is rejected before its end is received.
    #expect(scan([block(continuations: most + 1, bytes: 10)]).tooLong)
    // The limit is 1,000 bytes, with the headers of the frames.
    #expect(scan([block(continuations: 1, bytes: 900) + end]).tooLong == false)
    #expect(scan([block(continuations: 1, bytes: 1000)]).tooLong)
  }
}
