// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto

/// A version of a prompt of an agent: the active or the staged one. A string that the document omits is empty.
public struct Prompt: Sendable, Hashable {
  /// The id of this version: `{prompt_id}:{version}`.
  public let id: String
  /// The id of the prompt, which all its versions share.
  public let promptID: String
  /// The id of the agent that uses the prompt.
  public let agentID: String
  /// The version, by Semantic Versioning: `X.Y.Z`.
  public let version: String
  /// The status of the document, as `active` or `staged`.
  public let status: String
  /// The text of the prompt.
  public let content: Content
  /// The author, dates and origin of the document.
  public let metadata: Metadata
  /// The A/B test of this version.
  public let abTest: ABTest

  /// The text of a prompt.
  public struct Content: Sendable, Hashable {
    /// The system prompt.
    public let systemPrompt: String
    /// The template of the user prompt, with `{{variables}}`.
    public let template: String
    /// The JSON text of the schema of the output, a free-form object; empty if there is none.
    public let outputSchemaJSON: String
    /// The JSON text of the examples, a free-form array; empty if there is none.
    public let fewShotExamplesJSON: String
  }

  /// The author, dates and origin of a prompt's document.
  public struct Metadata: Sendable, Hashable {
    /// The author.
    public let author: String
    /// When the document was created; nil if it has no date.
    public let createdAt: Timestamp?
    /// When the document was last changed; nil if it has no date.
    public let updatedAt: Timestamp?
    /// The description of the changes of this version.
    public let changelog: String
    /// The commit from which the document was made.
    public let gitCommit: String
  }

  /// An A/B test of a staged prompt against the active one.
  public struct ABTest: Sendable, Hashable {
    /// Whether the test is running.
    public let isEnabled: Bool
    /// The share of the subjects that get the staged prompt, in percent: 0 to 100.
    public let trafficPercentage: Double
    /// The id of the test.
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
