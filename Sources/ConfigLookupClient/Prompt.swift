internal import CConfigLookupProto

/// A prompt of an agent: the version of it that is in force, or staged. A string that the document leaves out is empty.
public struct Prompt: Sendable, Hashable {
  /// `{prompt_id}:{version}`
  public let id: String
  public let promptID: String
  public let agentID: String
  /// `X.Y.Z`
  public let version: String
  public let status: String
  public let content: Content
  public let metadata: Metadata
  public let abTest: ABTest

  public struct Content: Sendable, Hashable {
    public let systemPrompt: String
    /// With `{{variables}}`.
    public let template: String
    /// Free-form, an object.
    public let outputSchemaJSON: String
    /// Free-form, an array.
    public let fewShotExamplesJSON: String
  }

  public struct Metadata: Sendable, Hashable {
    public let author: String
    public let createdAt: Timestamp?
    public let updatedAt: Timestamp?
    public let changelog: String
    public let gitCommit: String
  }

  public struct ABTest: Sendable, Hashable {
    public let isEnabled: Bool
    /// 0 to 100.
    public let trafficPercentage: Double
    public let testID: String
  }
}

extension Prompt {
  init(_ message: Configlookup__V1__Prompt) {
    id = message.id.string
    promptID = message.prompt_id.string
    agentID = message.agent_id.string
    version = message.version.string
    status = message.status.string
    content = Content(message.content?.pointee)
    metadata = Metadata(message.metadata?.pointee)
    abTest = ABTest(message.ab_test?.pointee)
  }
}

extension Prompt.Content {
  fileprivate init(_ message: Configlookup__V1__PromptContent?) {
    systemPrompt = message?.system_prompt.string ?? ""
    template = message?.template_.string ?? ""
    outputSchemaJSON = message?.output_schema_json.string ?? ""
    fewShotExamplesJSON = message?.few_shot_examples_json.string ?? ""
  }
}

extension Prompt.Metadata {
  fileprivate init(_ message: Configlookup__V1__PromptMetadata?) {
    author = message?.author.string ?? ""
    createdAt = Timestamp(message?.created_at)
    updatedAt = Timestamp(message?.updated_at)
    changelog = message?.changelog.string ?? ""
    gitCommit = message?.git_commit.string ?? ""
  }
}

extension Prompt.ABTest {
  fileprivate init(_ message: Configlookup__V1__PromptABTest?) {
    isEnabled = message?.enabled == 1
    trafficPercentage = message?.traffic_percentage ?? 0
    testID = message?.test_id.string ?? ""
  }
}
