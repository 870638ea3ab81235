// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

/// A page of a list, in order of key.
public struct Page<Summary: Sendable & Hashable>: Sendable, Hashable {
  /// The summaries of the page. A page that is not the last one may be empty.
  public let summaries: [Summary]
  /// The token with which to request the next page; nil on the last page.
  public let nextPageToken: String?
  /// The number of items on all pages, as of this answer.
  public let totalCount: Int
}

/// The summary of an agent config in a list. A string that the document omits is empty.
public struct AgentConfigSummary: Sendable, Hashable {
  /// The id of the agent.
  public let agentID: String
  /// The id of this version: `{agent_id}:{version}`.
  public let id: String
  /// The version, by Semantic Versioning.
  public let version: String
  /// The type of the agent, as `extractor`.
  public let type: String
  /// The description of the agent.
  public let description: String
  /// The language model.
  public let model: String
  /// When the document was last changed; nil if it has no date.
  public let updatedAt: Timestamp?
  /// The revision of the answer of this `agent_id`.
  public let revision: UInt64
  /// The etag of the answer of this `agent_id`.
  public let etag: String
}

/// The summary of an active prompt in a list.
public struct PromptSummary: Sendable, Hashable {
  /// The id of the agent that uses the prompt.
  public let agentID: String
  /// The id of the prompt.
  public let promptID: String
  /// The id of this version: `{prompt_id}:{version}`.
  public let id: String
  /// The version, by Semantic Versioning.
  public let version: String
  /// The staged version of the prompt; nil if none is staged.
  public let stagedVersion: String?
  /// When the document was last changed; nil if it has no date.
  public let updatedAt: Timestamp?
  /// The revision of the prompt.
  public let revision: UInt64
  /// The etag of the prompt.
  public let etag: String
}

/// The summary of a source config in a list. A string that the document omits is empty.
public struct SourceConfigSummary: Sendable, Hashable {
  /// The id of the source.
  public let sourceID: String
  /// The name of the source for people.
  public let displayName: String
  /// The description of the source.
  public let description: String
  /// The ingestion mode: `blob_trigger` or `scheduled_pull`.
  public let ingestionMode: String
  /// The container in which the source's blobs land.
  public let landingContainer: String
  /// The id of the AI agent that transforms the source's documents.
  public let aiAgentID: String
  /// The revision of the answer of this `source_id`.
  public let revision: UInt64
  /// The etag of the answer of this `source_id`.
  public let etag: String
}

extension Page {
  init(_ summaries: [Summary], _ nextPageToken: ProtobufCBinaryData, _ totalCount: Int32) {
    self.summaries = summaries
    let token = nextPageToken.string
    self.nextPageToken = token.isEmpty ? nil : token
    self.totalCount = Int(totalCount)
  }
}

extension AgentConfigSummary {
  init(_ message: Configlookup__V1__AgentConfigSummary) {
    agentID = message.agent_id.string
    id = message.id.string
    version = message.version.string
    type = message.type.string
    description = message.description.string
    model = message.model.string
    updatedAt = Timestamp(message.updated_at)
    revision = message.revision
    etag = message.etag.string
  }
}

extension PromptSummary {
  init(_ message: Configlookup__V1__PromptSummary) {
    agentID = message.agent_id.string
    promptID = message.prompt_id.string
    id = message.id.string
    version = message.version.string
    stagedVersion = message.staged_version.isEmpty ? nil : message.staged_version.string
    updatedAt = Timestamp(message.updated_at)
    revision = message.revision
    etag = message.etag.string
  }
}

extension SourceConfigSummary {
  init(_ message: Configlookup__V1__SourceConfigSummary) {
    sourceID = message.source_id.string
    displayName = message.display_name.string
    description = message.description.string
    ingestionMode = message.ingestion_mode.string
    landingContainer = message.landing_container.string
    aiAgentID = message.ai_agent_id.string
    revision = message.revision
    etag = message.etag.string
  }
}
