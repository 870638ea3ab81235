internal import CConfigLookupProto
internal import ProtobufMessages

/// A page of a list, in order of key.
public struct Page<Summary: Sendable & Hashable>: Sendable, Hashable {
  public let summaries: [Summary]
  /// What the next page is asked for with; nil on the last one.
  public let nextPageToken: String?
  /// Of all pages, as of this answer.
  public let totalCount: Int
}

/// An agent's config in a list. A string that the document leaves out is empty.
public struct AgentConfigSummary: Sendable, Hashable {
  public let agentID: String
  /// `{agent_id}:{version}`
  public let id: String
  public let version: String
  public let type: String
  public let description: String
  public let model: String
  public let updatedAt: Timestamp?
  public let revision: UInt64
  public let etag: String
}

/// An active prompt in a list.
public struct PromptSummary: Sendable, Hashable {
  public let agentID: String
  public let promptID: String
  /// `{prompt_id}:{version}`
  public let id: String
  public let version: String
  /// The version that is staged beside it; nil where none is.
  public let stagedVersion: String?
  public let updatedAt: Timestamp?
  public let revision: UInt64
  public let etag: String
}

/// A source's config in a list. A string that the document leaves out is empty.
public struct SourceConfigSummary: Sendable, Hashable {
  public let sourceID: String
  public let displayName: String
  public let description: String
  /// `blob_trigger` or `scheduled_pull`
  public let ingestionMode: String
  public let landingContainer: String
  public let aiAgentID: String
  public let revision: UInt64
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
