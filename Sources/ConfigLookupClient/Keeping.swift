internal import Core
internal import NearCache

/// An answer as the near cache holds it, whatever it is of.
struct Kept: Sendable {
  let content: Content
  let revision: UInt64
  /// Of its message.
  let byteCount: Int

  enum Content: Sendable {
    case agentConfig(Answer<AgentConfig>)
    case prompt(Answer<Prompt>)
    case sourceConfig(Answer<SourceConfig>)
    case matchedSource(Answer<MatchedSource>)
    case resolvedBlob(Answer<ResolvedBlob>)
    case page(any Sendable)
  }
}

/// What the near cache can hold.
protocol Keepable: Sendable {
  static func keep(_ answer: Answer<Self>) -> Kept.Content
  static func answer(_ content: Kept.Content) -> Answer<Self>?
}

extension AgentConfig: Keepable {
  static func keep(_ answer: Answer<AgentConfig>) -> Kept.Content { .agentConfig(answer) }
  static func answer(_ content: Kept.Content) -> Answer<AgentConfig>? {
    if case .agentConfig(let answer) = content { answer } else { nil }
  }
}

extension Prompt: Keepable {
  static func keep(_ answer: Answer<Prompt>) -> Kept.Content { .prompt(answer) }
  static func answer(_ content: Kept.Content) -> Answer<Prompt>? {
    if case .prompt(let answer) = content { answer } else { nil }
  }
}

extension SourceConfig: Keepable {
  static func keep(_ answer: Answer<SourceConfig>) -> Kept.Content { .sourceConfig(answer) }
  static func answer(_ content: Kept.Content) -> Answer<SourceConfig>? {
    if case .sourceConfig(let answer) = content { answer } else { nil }
  }
}

extension MatchedSource: Keepable {
  static func keep(_ answer: Answer<MatchedSource>) -> Kept.Content { .matchedSource(answer) }
  static func answer(_ content: Kept.Content) -> Answer<MatchedSource>? {
    if case .matchedSource(let answer) = content { answer } else { nil }
  }
}

extension ResolvedBlob: Keepable {
  static func keep(_ answer: Answer<ResolvedBlob>) -> Kept.Content { .resolvedBlob(answer) }
  static func answer(_ content: Kept.Content) -> Answer<ResolvedBlob>? {
    if case .resolvedBlob(let answer) = content { answer } else { nil }
  }
}

extension Page: Keepable {
  static func keep(_ answer: Answer<Page>) -> Kept.Content { .page(answer) }
  static func answer(_ content: Kept.Content) -> Answer<Page>? {
    if case .page(let answer) = content { answer as? Answer<Page> } else { nil }
  }
}

/// Under which key what is kept. What is found by anything but its own key is under an entity of another name, all of
/// which a notice of the entity drops.
enum Keys {
  static func agentConfig(_ id: String) -> CacheKey { CacheKey(entity: Entity.agentConfig.name, identifier: id) }
  static func prompt(_ agentID: String, _ variant: PromptVariant) -> CacheKey {
    CacheKey(entity: Entity.prompt.name, identifier: agentID, variant: variant == .staged ? "staged" : nil)
  }
  static func promptByID(_ id: String, _ variant: PromptVariant) -> CacheKey {
    CacheKey(entity: "prompt_by_id", identifier: id, variant: variant == .staged ? "staged" : nil)
  }
  static func sourceConfig(_ id: String) -> CacheKey { CacheKey(entity: Entity.sourceConfig.name, identifier: id) }
  static func container(_ name: String) -> CacheKey { CacheKey(entity: "source_config_by_container", identifier: name) }
  static func aiAgent(_ id: String) -> CacheKey { CacheKey(entity: "source_config_by_agent", identifier: id) }
  static func blob(_ container: String, _ path: String) -> CacheKey {
    CacheKey(entity: "source_config_by_blob", identifier: container, variant: path)
  }

  static func list(_ entity: Entity, _ filter: String, _ size: Int, _ token: String?) -> CacheKey {
    CacheKey(entity: "\(derivedPrefix(entity))list", identifier: filter, variant: "\(size):\(token ?? "")")
  }

  /// What a notice names; nil where it names no key.
  static func noticed(_ notice: Notice) -> CacheKey? {
    switch notice.entity {
    case .agentConfig: agentConfig(notice.key)
    case .prompt:
      prompt(notice.key, notice.cacheKey.utf8.count > "prompt:".utf8.count + notice.key.utf8.count ? .staged : .active)
    case .sourceConfig: sourceConfig(notice.key)
    case nil: nil
    }
  }

  /// How the keys begin of what is found otherwise.
  static func derivedPrefix(_ entity: Entity) -> String { "\(entity.name)_by_" }
}
