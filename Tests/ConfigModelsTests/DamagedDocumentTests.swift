// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigLookupBSON
import ConfigModels
import ProtobufMessages
import Testing

/// A generator of the same numbers in every run (splitmix64), so that a failure can be reproduced.
private struct SeededNumbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Suite struct DamagedDocumentTests {
  /// A database never contains such bytes, but no external input may end the process.
  @Test(arguments: 1...8)
  func `a damaged document is read or refused`(_ seed: UInt64) throws {
    var numbers = SeededNumbers(state: seed)
    for json in Documents.agents + [Documents.prompt, Documents.source] {
      let whole = try BSONDocument(json: json).bytes
      for _ in 0..<300 {
        var bytes = whole
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
          // The length at the start is not damaged, because `BSONDocument` validates it.
          bytes[Int.random(in: 4..<(bytes.count - 1), using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
        }
        let document = try #require(BSONDocument(bytes: bytes))
        _ = document.id?.text
        _ = document.json
        encode(document, AgentConfigDocument.self)
        encode(document, PromptDocument.self)
        encode(document, SourceConfigDocument.self)
      }
    }
  }

  private func encode<Model: CachedModel>(_ document: BSONDocument, _ type: Model.Type) {
    document.withObject { object in
      _ = Model.filter.matches(object)
      if let model = try? Model(reading: object) {
        #expect(model.encoded() != nil)
        _ = (model.key, model.aliases, model.listings, model.precedence)
      }
    }
  }
}
