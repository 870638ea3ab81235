// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import TestSupport
import Testing

@testable import FramedTransport

/// Compares the codec of the envelope with protobuf-c.
struct FrameCodecTests {
  /// The result of this project's decoder; nil if it rejects the bytes.
  private func decoded(_ bytes: [UInt8]) -> PlainFrame? {
    func pairs(_ metadata: DecodedMetadata) -> [[UInt8]] {
      var result: [[UInt8]] = []
      var reader = WireReader(metadata.message)
      while !reader.isAtEnd {
        guard let (number, type) = try? reader.tag() else { return [] }
        if number == metadata.field, let pair = try? FrameDecoder.pair(reader.lengthDelimited()) {
          result += [Array(pair.key), Array(pair.value)]
        } else {
          try? reader.skip(type)
        }
      }
      return result
    }
    func details(_ reply: DecodedReply) -> [[UInt8]] {
      // An `Any` has the fields of a pair: two byte strings, with the numbers 1 and 2.
      pairs(DecodedMetadata(count: 0, message: reply.bytes, field: DecodedReply.detailsField))
    }
    return bytes.withUnsafeBytes { buffer in
      guard let frame = try? FrameDecoder.decode(buffer) else { return nil }
      let id = frame.callID
      switch frame.body {
      case .none: return .none(id)
      case .call(let call):
        return .call(
          id, method: Array(call.method), request: Array(call.request), timeout: call.timeoutMilliseconds,
          pairs: pairs(call.metadata))
      case .reply(let reply):
        return .reply(
          id, status: reply.status, message: Array(reply.message), more: reply.more, payload: Array(reply.payload),
          pairs: pairs(reply.metadata), details: details(reply))
      case .cancel: return .cancel(id)
      case .ping(let nonce): return .ping(id, nonce)
      case .pong(let nonce): return .pong(id, nonce)
      case .goAway(let reason): return .goAway(id, Array(reason))
      }
    }
  }

  /// protobuf-c truncates a field number to 29 bits, and accepts a bool of any wire type.
  @Test(arguments: [[0x88, 0x80, 0x80, 0x80, 0x10, 1], [0x80, 0, 1], [0x1a, 5, 0x1d, 1, 0, 0, 0]] as [[UInt8]])
  func whatProtobufDoesNotHaveIsRefused(bytes: [UInt8]) {
    #expect(PlainFrame(unpacking: bytes) != nil)
    #expect(decoded(bytes) == nil)
  }

  private func metadata(_ pairs: [(String, String)]) -> RPCMetadata {
    var result = RPCMetadata()
    for (key, value) in pairs { result.append(key, value) }
    return result
  }

  private static let ids: [UInt32] = [0, 1, 127, 128, 65_535, .max]

  @Test(arguments: ids, [0, 1, 127, 128, 20_000])
  func callsArePackedAsProtobufCPacksThem(id: UInt32, size: Int) {
    let request = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
    let pairs = size % 2 == 0 ? [] : [("authorization", "Bearer ä"), ("empty", "")]
    let ours = FrameEncoder.call(
      id: id, method: "GetPrompt", request: request, timeout: size == 0 ? nil : .milliseconds(size),
      metadata: metadata(pairs))
    let theirs = packedCall(
      id: id, method: Array("GetPrompt".utf8), request: request, timeout: UInt32(size), pairs: pairs)
    #expect(Array(ours.dropFirst(4)) == theirs)
    #expect(ours.prefix(4).reduce(0) { $0 << 8 | Int($1) } == theirs.count)
    #expect(decoded(theirs) == PlainFrame(unpacking: theirs))
  }

  private static let failure = RPCStatus(
    .subscribersLimit, "no key \"ä\"", violations: [.init(field: "f", problem: "p")], retryDelay: .seconds(5),
    metadata: ["limit": "subscribers"])

  @Test(arguments: ids, [0, 1, 200, 70_000])
  func repliesAreReadByProtobufC(id: UInt32, size: Int) throws {
    let head = [UInt8](repeating: 1, count: size / 3)
    let body = [UInt8](repeating: 2, count: size - size / 3)
    for status in [RPCStatus.ok, Self.failure] {
      for more in [false, true] {
        let reply = FrameEncoder.Reply(callID: id, status: status, more: more)
        let metadata = metadata(more ? [("a", "b"), ("c", "")] : [])
        let sizes = FrameEncoder.sizes(reply, payload: size, metadata: metadata)
        var bytes = [UInt8](repeating: 0xff, count: sizes.total)
        bytes.withUnsafeMutableBytes {
          FrameEncoder.write(reply, sizes, head: head, body: body, metadata: metadata, into: $0)
        }
        let frame = Array(bytes.dropFirst(4))
        #expect(
          PlainFrame(unpacking: frame)
            == .reply(
              id, status: status.code.rawValue, message: Array(status.message.utf8), more: more, payload: head + body,
              pairs: metadata.pairs.flatMap { [Array($0.key.utf8), Array($0.value.utf8)] },
              details: try status.details.map(details(of:)) ?? []))
        #expect(decoded(frame) == PlainFrame(unpacking: frame))
      }
    }
  }

  /// The type and the value of each `google.protobuf.Any` of these details.
  private func details(of details: RPCErrorDetails) throws -> [[UInt8]] {
    var list: [UInt8] = []
    details.encode(field: 1, to: &list)
    return try WireMessage(list).messages(1).flatMap { try [$0.bytes(1), $0.bytes(2)].map { try #require($0) } }
  }

  @Test func theSmallFramesAreReadByProtobufC() {
    #expect(PlainFrame(unpacking: Array(FrameEncoder.cancel(id: 300).dropFirst(4))) == .cancel(300))
    #expect(PlainFrame(unpacking: Array(FrameEncoder.ping(0).dropFirst(4))) == .ping(0, 0))
    #expect(PlainFrame(unpacking: Array(FrameEncoder.ping(.max).dropFirst(4))) == .ping(0, .max))
    #expect(PlainFrame(unpacking: Array(FrameEncoder.goAway("").dropFirst(4))) == .goAway(0, []))
    #expect(PlainFrame(unpacking: Array(FrameEncoder.goAway("why").dropFirst(4))) == .goAway(0, Array("why".utf8)))
  }

  /// Encoded frames without their prefix, written by hand, and whether protobuf-c accepts them.
  static let oddFrames: [(String, [UInt8], accepted: Bool)] = [
    ("no body", [0x08, 0x05], true),
    (
      "unknown fields of every wire type",
      [0x78, 1, 0x79, 0, 0, 0, 0, 0, 0, 0, 0, 0x7a, 1, 9, 0x7d, 0, 0, 0, 0, 0x22, 0], true
    ),
    ("an unknown body", [0x08, 0x05, 0x42, 0x02, 0x08, 0x01], true),
    ("call_id twice: the last one", [0x08, 0x05, 0x08, 0x06, 0x22, 0], true),
    ("two bodies: the last one", [0x22, 0, 0x2a, 2, 0x08, 7], true),
    ("a method twice: the last one", [0x12, 6, 0x0a, 1, 0x41, 0x0a, 1, 0x42], true),
    ("call_id of ten bytes", [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x22, 0], true),
    ("a long form of zero", [0x08, 0x80, 0x80, 0x00, 0x22, 0], true),
    ("call_id cut", [0x08], false),
    ("call_id cut in its number", [0x08, 0x80], false),
    ("a number without end", [0x08] + [UInt8](repeating: 0xff, count: 11), false),
    ("call_id as bytes", [0x0a, 0x00], false),
    ("call as a number", [0x10, 0x01], false),
    ("call longer than the frame", [0x12, 0x05, 0x0a], false),
    ("method longer than the call", [0x12, 0x02, 0x0a, 0x05], false),
    ("a pair longer than the call", [0x12, 0x02, 0x22, 0x7f], false),
    ("a key longer than the pair", [0x12, 0x04, 0x22, 0x02, 0x0a, 0x09], false),
    ("a length without end", [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false),
    ("a length of 2^31", [0x12, 0x80, 0x80, 0x80, 0x80, 0x08], false),
    ("field 0", [0x00, 0x00], false),
    ("a group", [0x7b, 0x7c], false),
    ("a fixed field cut", [0x7d, 0, 0], false),
    ("cancel with a cut field", [0x22, 0x01, 0x08], false),
    ("details, one of them empty", [0x1a, 8, 0x32, 4, 0x0a, 2, 0x61, 0x62, 0x32, 0], true),
    ("details longer than the reply", [0x1a, 2, 0x32, 5], false),
    ("details as a number", [0x1a, 2, 0x30, 1], false),
    ("a type longer than the detail", [0x1a, 4, 0x32, 2, 0x0a, 5], false),
    ("a value as a number", [0x1a, 4, 0x32, 2, 0x10, 5], false),
    ("a malformed body before a good one", [0x2a, 0x01, 0x08, 0x22, 0x00], false),
  ]

  @Test(arguments: 0..<oddFrames.count)
  func oddFramesAreTakenOrRefusedAsProtobufCDoes(index: Int) {
    let (name, bytes, accepted) = Self.oddFrames[index]
    let theirs = PlainFrame(unpacking: bytes)
    #expect((theirs != nil) == accepted, "\(name)")
    #expect(decoded(bytes) == theirs, "\(name)")
  }

  /// Valid frames with a few changed bytes: both decoders return the same, or both reject the frame.
  @Test func damagedFramesAreTakenOrRefusedAsProtobufCDoes() {
    var random = SplitMix(seed: .random(in: 0 ... .max))
    let seed = random.seed
    let good = packedCall(
      id: 300, method: Array("GetPrompt".utf8), request: [1, 2, 3], timeout: 1000, pairs: [("a", "b"), ("c", "d")])
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      let theirs = PlainFrame(unpacking: bytes)
      guard decoded(bytes) == theirs else {
        Issue.record(
          "seed \(seed): \(bytes): ours \(String(describing: decoded(bytes))), theirs \(String(describing: theirs))")
        return
      }
    }
  }

  @Test(arguments: [
    ([0, 0, 0, 0], "an empty frame"), ([0x80, 0, 0, 0], "2147483648"), ([0xff, 0xff, 0xff, 0xff], "4294967295"),
    ([0, 1, 0, 1], "65537"), (Array("GET / HTTP/1.1".utf8), "HTTP/1"), ([0x16, 0x03, 0x01, 0x02], "TLS"),
  ])
  func aLengthOutOfBoundsIsRefusedBeforeItsBytesAreAwaited(bytes: [UInt8], text: String) {
    let error = #expect(throws: FrameError.self) {
      try bytes.withUnsafeBytes { _ = try FrameDecoder.prefix($0, limit: 65_536) }
    }
    #expect(error?.description.contains(text) == true)
  }

  @Test func aLengthWithinBoundsIsRead() throws {
    for (bytes, expected) in [
      ([0, 1, 0], FrameDecoder.Prefix.incomplete), ([0, 1, 0, 0], .frame(65_536)), ([0, 0, 0, 1], .frame(1)),
    ] as [([UInt8], FrameDecoder.Prefix)] {
      #expect(try bytes.withUnsafeBytes { try FrameDecoder.prefix($0, limit: 65_536) } == expected)
    }
  }
}

/// A random number generator whose sequence can be repeated with the same seed.
struct SplitMix: RandomNumberGenerator {
  let seed: UInt64
  private var state: UInt64

  init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
