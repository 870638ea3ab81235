// SPDX-License-Identifier: Apache-2.0
internal import ProtobufMessages

// The summaries of documents in lists: the fields of the summary's message that the document determines. The service
// adds the other fields (revision, etag, and those that depend on other documents), whose numbers are higher.

extension AgentConfigDocument {
  /// Encodes the fields 1 to 7 of `configlookup.v1.AgentConfigSummary`.
  ///
  /// - Returns: the encoded fields.
  public func summary() -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.string(1, agentID, to: &out)
    ProtobufWriter.string(2, id, to: &out)
    ProtobufWriter.string(3, version.text, to: &out)
    ProtobufWriter.string(4, kind.type.rawValue, to: &out)
    ProtobufWriter.string(5, description, to: &out)
    ProtobufWriter.string(6, llm?.model ?? "", to: &out)
    ProtobufWriter.timestamp(7, milliseconds: metadata.updatedAt, to: &out)
    return out
  }
}

extension PromptDocument {
  /// Encodes the fields 1 to 5 of `configlookup.v1.PromptSummary`.
  ///
  /// - Returns: the encoded fields.
  public func summary() -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.string(1, agentID, to: &out)
    ProtobufWriter.string(2, promptID, to: &out)
    ProtobufWriter.string(3, id, to: &out)
    ProtobufWriter.string(4, version.text, to: &out)
    ProtobufWriter.timestamp(5, milliseconds: metadata.updatedAt, to: &out)
    return out
  }
}

extension SourceConfigDocument {
  /// Encodes the fields 1 to 6 of `configlookup.v1.SourceConfigSummary`.
  ///
  /// - Returns: the encoded fields.
  public func summary() -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.string(1, sourceID, to: &out)
    ProtobufWriter.string(2, displayName, to: &out)
    ProtobufWriter.string(3, description, to: &out)
    ProtobufWriter.string(4, ingestion.mode.rawValue, to: &out)
    ProtobufWriter.string(5, ingestion.landingContainer ?? "", to: &out)
    ProtobufWriter.string(6, transformation.aiAgentID ?? "", to: &out)
    return out
  }
}

extension ProtobufWriter {
  /// Writes a `google.protobuf.Timestamp`; nothing for no date.
  fileprivate static func timestamp(_ field: UInt32, milliseconds: Int64?, to out: inout [UInt8]) {
    guard let milliseconds else { return }
    message(field, to: &out) { out in
      let time = protobufTimestamp(milliseconds: milliseconds)
      signed(1, time.seconds, to: &out)
      signed(2, Int64(time.nanos), to: &out)
    }
  }
}
