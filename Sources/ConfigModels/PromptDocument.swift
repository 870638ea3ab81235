// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
public import ChangeStreamCache
public import ConfigLookupBSON
internal import ProtobufMessages

/// One version of a prompt of an agent. The properties correspond to the fields of a document in `prompts`.
public struct PromptDocument: Sendable, Equatable {
  /// The id: `{prompt_id}:{version}`.
  public let id: String
  /// The id of the prompt.
  public let promptID: String
  /// The id of the agent.
  public let agentID: String
  /// The version of the prompt.
  public let version: SemanticVersion
  /// The status of this version.
  public let status: DocumentStatus
  /// The texts of the prompt.
  public let content: Content
  /// The author and dates.
  public let metadata: Metadata
  /// The A/B test of this version, if it is staged.
  public let abTest: ABTest

  /// The texts of a prompt.
  public struct Content: Sendable, Equatable {
    /// The system prompt.
    public let systemPrompt: String
    /// The template, with `{{variables}}`.
    public let template: String
    /// The schema of the output as JSON; nil if the document has none.
    public let outputSchemaJSON: String?
    /// The few-shot examples as a JSON array; nil if the document has none.
    public let fewShotExamplesJSON: String?
  }

  /// The author and dates of the document.
  public struct Metadata: Sendable, Equatable {
    /// The name of the author.
    public let author: String
    /// The creation date in milliseconds since 1970; nil if the document has none.
    public let createdAt: Int64?
    /// The date of the last update in milliseconds since 1970; nil if the document has none.
    public let updatedAt: Int64?
    /// The description of the change; nil if the document has none.
    public let changelog: String?
    /// The Git commit of the prompt; nil if the document has none.
    public let gitCommit: String?
  }
}

extension PromptDocument: CachedModel {
  /// The key spaces of prompts. An agent's active prompt and its staged prompt are two answers.
  public enum Space {
    /// The space of `agent_id` for active prompts.
    public static let agentID: UInt8 = 0
    /// The space of `agent_id` for staged prompts.
    public static let stagedAgentID: UInt8 = 1
    /// The space of `prompt_id` for active prompts.
    public static let promptID: UInt8 = 2
    /// The space of `prompt_id` for staged prompts.
    public static let stagedPromptID: UInt8 = 3
    /// The space of lists: agent and prompt together. See ``Prompt/listKey``.
    public static let agentAndPromptID: UInt8 = 4
  }

  /// The values that decide an A/B lookup, and the version of a staged prompt that lists show.
  public struct CachedValue: Sendable, Equatable {
    /// The id of the prompt's version.
    public let id: String
    /// The version as text.
    public let version: String
    /// The A/B test.
    public let abTest: ABTest
  }

  /// The name of the entity.
  public static let entity = "prompt"
  /// The filter: active and staged versions.
  public static let filter = DocumentFilter.field("status", isOneOf: [.string("active"), .string("staged")])

  /// The fields that the primary key is made of.
  public static let keyFields: Set<String>? = ["agent_id", "status"]

  /// Returns the fields that a prompt's key in a space is made of.
  ///
  /// - Parameter space: the number of the space.
  /// - Returns: the fields; nil for the space of lists.
  public static func keyFields(ofSpace space: UInt8) -> Set<String>? {
    switch space {
    case Space.agentID, Space.stagedAgentID: keyFields
    case Space.promptID, Space.stagedPromptID: ["prompt_id", "status"]
    default: nil
    }
  }

  /// The five key spaces, in the order of ``Space``.
  public static let keySpaces = [
    KeySpace(selector: "agent_id", composition: .winnerNamingOthers(space: Space.promptID)),
    KeySpace(selector: "agent_id", variant: "staged", composition: .winnerNamingOthers(space: Space.stagedPromptID)),
    KeySpace(selector: "prompt_id"),
    KeySpace(selector: "prompt_id", variant: "staged"),
    KeySpace(selector: nil),
  ]

  private var isStaged: Bool { status == .staged }

  /// The primary key: the `agent_id`, in the space of the prompt's status.
  public var key: LookupKey { LookupKey(agentID, space: isStaged ? Space.stagedAgentID : Space.agentID) }

  /// The keys by `prompt_id` and, for an active prompt, the key of lists.
  public var aliases: [LookupKey] {
    isStaged
      ? [LookupKey(promptID, space: Space.stagedPromptID)] : [LookupKey(promptID, space: Space.promptID), listKey]
  }

  /// The `agent_id` and the `prompt_id` with a zero byte between them, which neither contains. So list rows are in
  /// order of agent, then prompt.
  public var listKey: LookupKey {
    LookupKey(bytes: Array(agentID.utf8) + [0] + Array(promptID.utf8), space: Space.agentAndPromptID)
  }

  /// The precedence among prompts with the same key: by semantic version, then by the date of the last update.
  public var precedence: Precedence { Precedence(version, updatedAt: metadata.updatedAt) }

  /// The lists that contain the prompt: the list of all active prompts.
  public var listings: [String] { isStaged ? [] : [""] }

  /// The values that A/B lookups and lists need.
  public var cachedValue: CachedValue { CachedValue(id: id, version: version.text, abTest: abTest) }

  /// Reads and validates a document of `prompts`.
  ///
  /// - Parameter document: the document as stored.
  /// - Throws: a `DocumentProblem` that names the invalid field.
  public init(reading document: BSONObject) throws(DocumentProblem) {
    promptID = try document.lookupKey("prompt_id")
    agentID = try document.lookupKey("agent_id")
    version = try document.version("version")
    id = try document.versionedID(of: promptID, "prompt_id", version)
    status = try document.choice("status", default: .draft)
    content = try Content(reading: document.object("content"))
    metadata = try Metadata(reading: document.object("metadata"))
    abTest = try ABTest(reading: document.objectOrEmpty("ab_test"))
  }

  /// Encodes the message `configlookup.v1.Prompt`.
  ///
  /// - Returns: the encoded bytes.
  public func encoded() -> [UInt8]? {
    let arena = ProtobufArena()
    return withExtendedLifetime(arena) { ProtobufArena.pack(message(in: arena)) }
  }

  private func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__Prompt> {
    arena.make(configlookup__v1__prompt__init) {
      $0.id = arena.bytes(id)
      $0.prompt_id = arena.bytes(promptID)
      $0.agent_id = arena.bytes(agentID)
      $0.version = arena.bytes(version.text)
      $0.status = arena.bytes(status.rawValue)
      $0.content = arena.make(configlookup__v1__prompt_content__init) {
        $0.system_prompt = arena.bytes(content.systemPrompt)
        $0.template_ = arena.bytes(content.template)
        $0.output_schema_json = arena.bytes(content.outputSchemaJSON)
        $0.few_shot_examples_json = arena.bytes(content.fewShotExamplesJSON)
      }
      $0.metadata = arena.make(configlookup__v1__prompt_metadata__init) {
        $0.author = arena.bytes(metadata.author)
        $0.created_at = arena.timestamp(metadata.createdAt)
        $0.updated_at = arena.timestamp(metadata.updatedAt)
        $0.changelog = arena.bytes(metadata.changelog)
        $0.git_commit = arena.bytes(metadata.gitCommit)
      }
      $0.ab_test = arena.make(configlookup__v1__prompt_abtest__init) {
        $0.enabled = abTest.enabled ? 1 : 0
        $0.traffic_percentage = abTest.trafficPercentage
        $0.test_id = arena.bytes(abTest.testID)
      }
    }
  }
}

extension PromptDocument.Content {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    systemPrompt = try object.string("system_prompt")
    template = try object.string("template")
    outputSchemaJSON = try object.optionalJSON("output_schema", .object)
    fewShotExamplesJSON = try object.optionalJSON("few_shot_examples", .array)
  }
}

extension PromptDocument.Metadata {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    author = try object.string("author")
    createdAt = try object.optionalTimestamp("created_at")
    updatedAt = try object.optionalTimestamp("updated_at")
    changelog = try object.optionalString("changelog")
    gitCommit = try object.optionalString("git_commit")
  }
}

extension ABTest {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    enabled = try object.bool("enabled", default: false)
    trafficPercentage = try object.double("traffic_percentage", in: 0...100, default: 0)
    testID = try object.optionalString("test_id")
  }
}
