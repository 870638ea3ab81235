/// What the service says of a key, and as of when.
public struct Answer<Value: Sendable>: Sendable {
  /// What is in force; nil if nothing is.
  public let value: Value?
  /// The revision of the value: the cluster time of its last change. 0 if there is none.
  public let revision: UInt64
  /// Equal values have equal etags.
  public let etag: String
  /// Every change up to this revision is in the answer.
  public let observedRevision: UInt64
  /// The server could not confirm it for longer than its TTL, or it is past its time here and no server could be asked.
  public internal(set) var isStale: Bool
}

/// A prompt that was chosen for a subject.
public struct ChosenPrompt: Sendable, Hashable {
  public let prompt: Prompt
  /// Whether it is the staged one.
  public let isStaged: Bool
  /// The test that decided; empty where none runs.
  public let testID: String
}

/// A source that matched, and those that matched too.
public struct MatchedSource: Sendable, Hashable {
  public let config: SourceConfig
  public let otherSourceIDs: [String]
}

/// The source that a blob belongs to.
public struct ResolvedBlob: Sendable, Hashable {
  public let config: SourceConfig
  /// What the source's path pattern took from the path.
  public let fields: [String: String]
}

/// Which of an agent's prompts.
public enum PromptVariant: UInt32, Sendable, Hashable {
  case active = 1
  case staged = 2
}

/// The kinds of documents.
public enum Entity: UInt32, Sendable, Hashable, CaseIterable {
  case agentConfig = 1
  case prompt = 2
  case sourceConfig = 3

  /// As it is in keys of caches.
  public var name: String {
    switch self {
    case .agentConfig: "agent_config"
    case .prompt: "prompt"
    case .sourceConfig: "source_config"
    }
  }

  /// The request field that cache keys do not name.
  var primarySelector: String {
    switch self {
    case .agentConfig, .prompt: "agent_id"
    case .sourceConfig: "source_id"
    }
  }
}

/// Why there is no answer.
public struct ConfigLookupError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: Sendable, Hashable {
    /// The call's argument is at fault; the message names it.
    case invalidArgument
    /// No server gave an answer in time.
    case unavailable
    /// No or wrong credentials, or none for this.
    case notAllowed
    /// A limit of the server.
    case limitReached
    /// The client has been closed.
    case closed
    /// Anything else: a bug of the server's or of the client's.
    case failed
  }

  public let code: Code
  public let message: String

  public var description: String { message }
}
