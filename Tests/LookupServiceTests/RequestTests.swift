// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupRPC
internal import ProtobufMessages
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// The decoding of requests and keys from clients, on the fast path and on the general path.
struct RequestTests {
  /// Every request that `SoleField` accepts is decoded equally by protobuf-c.
  @Test func soleFieldIsWhatProtobufCUnpacks() throws {
    var random = SeededRandom.fresh("soleFieldIsWhatProtobufCUnpacks")
    let arena = ProtobufArena()
    var soleCount = 0
    for _ in 0..<50_000 {
      let length = random.below(6)
      var bytes: [UInt8] = [UInt8(random.below(6) << 3 | (random.once(in: 8) ? random.below(8) : 2))]
      bytes.append(UInt8(random.once(in: 8) ? random.below(256) : length))
      for _ in 0..<length { bytes.append(UInt8(random.once(in: 4) ? random.below(256) : 0x61)) }
      if random.once(in: 10) { bytes.removeLast() }
      arena.reset()
      try bytes.withUnsafeBytes { bytes in
        guard let sole = SoleField(bytes), (1...2).contains(sole.number) else { return }
        soleCount += 1
        let message = try arena.unpack(bytes, by: configlookup__v1__get_prompt_request__unpack).pointee
        #expect(message.selector_case.rawValue == UInt32(sole.number))
        let text = sole.number == 1 ? message.agent_id : message.prompt_id
        #expect(text.buffer.elementsEqual(sole.text.buffer), "\(Array(bytes))")
      }
    }
    #expect(soleCount > 5000)
  }

  @Test func soleFieldLeavesTheRestToProtobufC() {
    for bytes in [[], [0x0a], [0x0a, 2, 0x61], [0x0a, 1, 0x61, 0x12, 0], [0x08, 1], [0x8a, 1, 0]] as [[UInt8]] {
      bytes.withUnsafeBytes { #expect(SoleField($0) == nil, "\(bytes)") }
    }
    for length in [127, 128, 300] {
      let bytes = ProtobufWriterBytes.string(1, String(repeating: "k", count: length))
      bytes.withUnsafeBytes { #expect((SoleField($0) != nil) == (length < 128)) }
    }
  }

  /// A zero byte, or a byte that is not UTF-8, at every position of keys of every length around a machine word.
  @Test func badBytesAreSeenAtEveryPlace() throws {
    for length in 1...20 {
      for place in 0..<length {
        for (byte, problem) in [(0, "zero byte"), (0x80, "UTF-8"), (0xff, "UTF-8")] as [(UInt8, String)] {
          var key = [UInt8](repeating: 0x7f, count: length)
          key[place] = byte
          let error = key.withUnsafeBytes { bytes in
            do throws(RPCStatus) {
              try checkText(bytes, "agent_id")
              return nil as RPCStatus?
            } catch {
              return error
            }
          }
          #expect(error?.reason == .invalidField)
          #expect(error?.message.contains(problem) == true, "\(byte) at \(place) of \(length)")
        }
      }
      let good = [UInt8](repeating: 1, count: length) + Array("é".utf8)
      try good.withUnsafeBytes { try checkText($0, "agent_id") }
    }
  }

  /// The scratch memory writes the same bytes as the writer, at every length of a prefix.
  @Test(arguments: [0, 1, 60, 117, 118, 119, 300])
  func scratchWritesLikeTheWriter(length: Int) {
    let text = String(repeating: "e", count: length)
    let scratch = ProtobufScratch(capacity: 512)
    scratch.message(4, maximum: 400) { out in
      out.unsigned(1, .max)
      out.unsigned(2, 0)
      Array(text.utf8).withUnsafeBytes { out.bytes(3, $0) }
    }
    scratch.prefix(5, 70_000)
    var expected: [UInt8] = []
    ProtobufWriter.message(4, to: &expected) { out in
      ProtobufWriter.unsigned(1, .max, to: &out)
      ProtobufWriter.string(3, text, to: &out)
    }
    ProtobufWriter.lengthPrefix(5, 70_000, to: &expected)
    #expect(Array(scratch.bytes) == expected)
  }
}

private enum ProtobufWriterBytes {
  static func string(_ field: UInt32, _ text: String) -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.string(field, text, to: &out)
    return out
  }
}
