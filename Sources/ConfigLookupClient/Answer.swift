// SPDX-License-Identifier: Apache-2.0
/// The answer to a lookup, with the revision as of which it holds.
public struct Answer<Value: Sendable>: Sendable {
  /// The value in force; nil if there is none.
  public let value: Value?
  /// The revision of the value: the cluster time of its last change. 0 if there is no value.
  public let revision: UInt64
  /// A hash of the value's content: equal values have equal etags. Empty if there is no value.
  public let etag: String
  /// The answer contains every change up to this revision. 0 where the near cache answers that there is no value.
  public let observedRevision: UInt64
  /// Whether the answer is stale: the server has not verified it for longer than its TTL, or its time to live in the
  /// near cache has ended and no server could be reached.
  public internal(set) var isStale: Bool
}

/// A prompt that was chosen for a subject, as an A/B test decides.
public struct ChosenPrompt: Sendable, Hashable {
  /// The chosen prompt.
  public let prompt: Prompt
  /// Whether ``prompt`` is the staged version.
  public let isStaged: Bool
  /// The id of the A/B test that decided; empty if no test is running.
  public let testID: String
}

/// A source config that matches a selector, and the ids of the others that match it.
public struct MatchedSource: Sendable, Hashable {
  /// The matching source config with the lowest `source_id`.
  public let config: SourceConfig
  /// The `source_id`s of the other source configs that match.
  public let otherSourceIDs: [String]
}

/// The source config to which a blob belongs.
public struct ResolvedBlob: Sendable, Hashable {
  /// The source config.
  public let config: SourceConfig
  /// The values of the placeholders in the source's path pattern, by name; only the names in `extract_fields`.
  public let fields: [String: String]
}

/// The variant of a prompt. The raw values are those of the enum `PromptVariant` in the protocol.
public enum PromptVariant: UInt32, Sendable, Hashable {
  /// The version in force.
  case active = 1
  /// The version that is staged beside it.
  case staged = 2
}

/// The kinds of documents. The raw values are those of the enum `Entity` in the protocol.
public enum Entity: UInt32, Sendable, Hashable, CaseIterable {
  /// The configuration of an AI agent.
  case agentConfig = 1
  /// A prompt of an agent.
  case prompt = 2
  /// The configuration of a source of documents.
  case sourceConfig = 3

  /// The name of the entity in cache keys, as `agent_config`.
  public var name: String {
    switch self {
    case .agentConfig: "agent_config"
    case .prompt: "prompt"
    case .sourceConfig: "source_config"
    }
  }

  /// The primary selector: the request field that cache keys leave out.
  var primarySelector: String {
    switch self {
    case .agentConfig, .prompt: "agent_id"
    case .sourceConfig: "source_id"
    }
  }
}

/// The error of a failed call.
public struct ConfigLookupError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kinds of errors.
  public enum Code: Sendable, Hashable {
    /// An argument of the call is invalid; the message names it.
    case invalidArgument
    /// No server answered before the timeout.
    case unavailable
    /// The credentials are missing or invalid, or do not permit this call.
    case notAllowed
    /// A limit of the server was reached.
    case limitReached
    /// The client has been closed.
    case closed
    /// Any other error, which is a bug in the server or in this library.
    case failed
  }

  /// A field of the request and what is wrong with it.
  public struct FieldViolation: Sendable, Hashable {
    /// The name of the field, as in the protocol: `agent_id`.
    public let field: String
    /// What is wrong with it.
    public let problem: String
  }

  /// The kind of the error.
  public let code: Code
  /// A description of the problem for people.
  public let message: String
  /// The reason that the server gives, such as `PERMISSION_MISSING`; nil if the error is not one of the server.
  ///
  /// The table of reasons is in `docs/reference/grpc.md`. Later servers may have further reasons, so a program must
  /// have a default for those that it does not know: ``code``.
  public internal(set) var reason: String?
  /// The values that the message contains, by name, such as `permission` and its name. Empty for most reasons.
  public internal(set) var metadata: [String: String] = [:]
  /// The fields of the request that are invalid; empty if none is the cause.
  public internal(set) var fieldViolations: [FieldViolation] = []
  /// The time after which the server suggests a retry; nil if it suggests none.
  public internal(set) var retryDelay: Duration?

  /// The same as ``message``.
  public var description: String { message }
}
