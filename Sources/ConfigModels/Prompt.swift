public import BSON
internal import CConfigLookupProto
public import ChangeStreamCache
internal import ProtobufMessages

/// A prompt of an agent: one version of it.
public struct Prompt: Sendable, Equatable {
  public let id: String
  public let promptID: String
  public let agentID: String
  public let version: SemanticVersion
  public let status: DocumentStatus
  public let content: Content
  public let metadata: Metadata
  public let abTest: ABTest

  public struct Content: Sendable, Equatable {
    public let systemPrompt: String
    public let template: String
    public let outputSchemaJSON: String?
    public let fewShotExamplesJSON: String?
  }

  public struct Metadata: Sendable, Equatable {
    public let author: String
    /// Milliseconds since 1970, as all dates here; nil where the document has none.
    public let createdAt: Int64?
    public let updatedAt: Int64?
    public let changelog: String?
    public let gitCommit: String?
  }
}

extension Prompt: CachedModel {
  /// The spaces of keys. An agent's active prompt and its staged one are two answers.
  public enum Space {
    public static let agentID: UInt8 = 0
    public static let stagedAgentID: UInt8 = 1
    public static let promptID: UInt8 = 2
    public static let stagedPromptID: UInt8 = 3
    /// An agent and one of its prompts: what lists show. See ``Prompt/listKey``.
    public static let agentAndPromptID: UInt8 = 4
  }

  /// What settles an A/B lookup, and the version that lists show of a staged prompt.
  public struct Kept: Sendable, Equatable {
    public let id: String
    public let version: String
    public let abTest: ABTest
  }

  public static let entity = "prompt"
  public static let filter = DocumentFilter.field("status", isOneOf: [.string("active"), .string("staged")])

  public static let keyFields: Set<String>? = ["agent_id", "status"]

  public static func keyFields(ofSpace space: UInt8) -> Set<String>? {
    switch space {
    case Space.agentID, Space.stagedAgentID: keyFields
    case Space.promptID, Space.stagedPromptID: ["prompt_id", "status"]
    default: nil
    }
  }

  public static let keySpaces = [
    KeySpace(selector: "agent_id", composition: .winnerNamingOthers(space: Space.promptID)),
    KeySpace(selector: "agent_id", variant: "staged", composition: .winnerNamingOthers(space: Space.stagedPromptID)),
    KeySpace(selector: "prompt_id"),
    KeySpace(selector: "prompt_id", variant: "staged"),
    KeySpace(selector: nil),
  ]

  private var isStaged: Bool { status == .staged }

  public var key: LookupKey { LookupKey(agentID, space: isStaged ? Space.stagedAgentID : Space.agentID) }

  public var aliases: [LookupKey] {
    isStaged
      ? [LookupKey(promptID, space: Space.stagedPromptID)] : [LookupKey(promptID, space: Space.promptID), listKey]
  }

  /// Agent and prompt, with a zero byte in between, which neither holds: so rows come in order of agent, then prompt.
  public var listKey: LookupKey {
    LookupKey(bytes: Array(agentID.utf8) + [0] + Array(promptID.utf8), space: Space.agentAndPromptID)
  }

  public var precedence: Precedence { Precedence(version, updatedAt: metadata.updatedAt) }

  /// Lists show what is active.
  public var listings: [String] { isStaged ? [] : [""] }

  public var kept: Kept { Kept(id: id, version: version.text, abTest: abTest) }

  /// Reads and checks a document of `prompts`.
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

  /// The message `configlookup.v1.Prompt`.
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

extension Prompt.Content {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    systemPrompt = try object.string("system_prompt")
    template = try object.string("template")
    outputSchemaJSON = try object.optionalJSON("output_schema", .object)
    fewShotExamplesJSON = try object.optionalJSON("few_shot_examples", .array)
  }
}

extension Prompt.Metadata {
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
