// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigModels
internal import Foundation
internal import ProtobufMessages

/// Checks the input as a document, and as the content of one. The length and the terminator are added to the content,
/// because a fuzzed input rarely has the right ones.
func fuzzDocument(_ input: UnsafeRawBufferPointer) {
  if let document = BSONDocument(bytes: Array(input)) { check(document) }
  guard input.count >= 4 else { return }
  var bytes = Array(input) + [0]
  withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { bytes.replaceSubrange(0..<4, with: $0) }
  guard let document = BSONDocument(bytes: bytes) else { fatalError("a document of the right length is refused") }
  check(document)
}

private func check(_ document: BSONDocument) {
  if let json = document.json { expect(isJSON(json), "the document is shown as \(json)") }
  if let id = document.id {
    _ = id.text
    // A malformed `_id` may read differently in a document of its own. Such a document has no JSON.
    expect(id.document.json == nil || id.document.id == id, "the _id is another in a document of its own")
  }
  document.withObject { object in
    for filter in filters { _ = filter.matches(object) }
    if let agent = model(AgentConfigDocument.self, object, configlookup__v1__agent_config__unpack) {
      var texts: [String?] = [agent.input.schemaJSON, agent.output.schemaJSON]
      if case .extractor(let extractor) = agent.kind {
        texts += [extractor.extractionSchemaJSON, extractor.normalizationRulesJSON]
      }
      for case let text? in texts { expect(isJSON(text), "not JSON: \(text)") }
    }
    if let source = model(SourceConfigDocument.self, object, configlookup__v1__source_config__unpack) {
      if let text = source.ingestion.iteration?.toolArgumentsJSON { expect(isJSON(text), "not JSON: \(text)") }
      let path = source.ingestion.pathPattern?.pattern.text ?? "a/b.json"
      Array(path.utf8).withUnsafeBytes { _ = (source.cachedValue.matches(path: $0), source.cachedValue.fields(of: $0)) }
    }
    if let prompt = model(PromptDocument.self, object, configlookup__v1__prompt__unpack) {
      for case let text? in [prompt.content.outputSchemaJSON, prompt.content.fewShotExamplesJSON] {
        expect(isJSON(text), "not JSON: \(text)")
      }
      _ = prompt.cachedValue.abTest.servesStaged(to: "subject", promptID: prompt.id)
    }
  }
}

private let filters = [
  AgentConfigDocument.filter, PromptDocument.filter, SourceConfigDocument.filter,
  .field("version", isOneOf: [.integer(1), .string("1.0.0")]),
]

/// Reads a model. Checks that an accepted model can be encoded, that protobuf-c can unpack the result, and that it can
/// be printed.
private func model<Model: CachedModel, Message>(
  _ type: Model.Type, _ object: BSONObject,
  _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
) -> Model? {
  let model: Model
  do throws(DocumentProblem) {
    model = try Model(reading: object)
  } catch {
    expect(!error.problem.isEmpty, "refused without a reason")
    return nil
  }
  // Keys that only lists use cannot be named in a lookup, so they are not checked.
  for key in [model.key] + model.aliases where Model.selector(ofSpace: key.space) != nil {
    expect((1...256).contains(key.bytes.count) && !key.bytes.contains(0), "a key that no lookup can name: \(key)")
  }
  _ = (model.listings, model.precedence)
  guard let bytes = model.encoded() else { fatalError("\(type) has no message") }
  let arena = ProtobufArena()
  bytes.withUnsafeBytes { buffer in
    guard let message = try? arena.unpack(buffer, by: unpack, limit: .max) else {
      fatalError("protobuf-c refuses the message of \(type)")
    }
    expect(ProtobufArena.pack(message) == bytes, "\(type): packed again, the message differs")
    expect(isJSON(MessagePrinter().json(message)), "\(type) is not shown as JSON")
    _ = MessagePrinter(includesDefaults: true).text(message)
  }
  return model
}

private func isJSON(_ text: String) -> Bool {
  (try? JSONSerialization.jsonObject(with: Data(text.utf8))) != nil
}
