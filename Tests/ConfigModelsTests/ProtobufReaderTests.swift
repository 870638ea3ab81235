// SPDX-License-Identifier: Apache-2.0
internal import ProtobufMessages
internal import TestSupport
internal import Testing

@Suite struct ProtobufReaderTests {
  @Test func everyWireTypeIsRead() throws {
    let bytes: [UInt8] =
      [0x08, 0x96, 0x01] + [0x12, 0x02, 0x68, 0x69] + [0x1D, 1, 2, 3, 4] + [0x21, 1, 2, 3, 4, 5, 6, 7, 8]
      + [0xF8, 0xFF, 0xFF, 0xFF, 0x0F] + [UInt8](repeating: 0xFF, count: 9) + [0x01]
    #expect(
      try fields(bytes) == [
        "1 varint 150", "2 bytes [104, 105]", "3 fixed [1, 2, 3, 4]", "4 fixed [1, 2, 3, 4, 5, 6, 7, 8]",
        "536870911 varint 18446744073709551615",
      ])
    #expect(try fields([]) == [])
  }

  @Test func whatIsCutAnywhereIsMalformed() throws {
    let whole: [UInt8] = [0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69, 0x1D, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8]
    let ends: Set = [0, 3, 7, 12, 21]
    for count in 0...whole.count where !ends.contains(count) {
      #expect(throws: ProtobufError.malformed, "\(count)") { try fields(Array(whole.prefix(count))) }
    }
    for count in ends { #expect(throws: Never.self) { try fields(Array(whole.prefix(count))) } }
  }

  @Test(arguments: [
    [0x00, 0x00], [0x0B], [0x0C], [0x0E], [0x0F], [0x80, 0x80, 0x80, 0x80, 0x10, 0x01],
    [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [UInt8](repeating: 0xFF, count: 40),
    [0x08] + [UInt8](repeating: 0x80, count: 10) + [0x01],
  ])
  func whatCannotBeIsMalformed(bytes: [UInt8]) {
    #expect(throws: ProtobufError.malformed) { try fields(bytes) }
  }

  /// Any bytes result in fields or in an error.
  @Test func randomBytesAreRead() {
    var random = SeededRandom.fresh("randomBytesAreRead")
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      _ = try? fields(bytes)
    }
  }

  private func fields(_ bytes: [UInt8]) throws -> [String] {
    try bytes.withUnsafeBytes { buffer in
      var reader = ProtobufReader(buffer)
      var fields: [String] = []
      while let field = try reader.next() {
        switch field.value {
        case .varint(let value): fields.append("\(field.number) varint \(value)")
        case .bytes(let bytes): fields.append("\(field.number) bytes \(Array(bytes))")
        case .fixed(let bytes): fields.append("\(field.number) fixed \(Array(bytes))")
        }
      }
      return fields
    }
  }
}
