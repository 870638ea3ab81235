// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import NearCache

/// An answer of any type in the near cache.
struct CachedValue: Sendable {
  let content: Content
  let revision: UInt64
  /// The size of its message on the wire.
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

/// A type whose answers can be stored in the near cache.
protocol Cacheable: Sendable {
  static func cachedContent(_ answer: Answer<Self>) -> CachedValue.Content
  static func answer(_ content: CachedValue.Content) -> Answer<Self>?
}

extension AgentConfig: Cacheable {
  static func cachedContent(_ answer: Answer<AgentConfig>) -> CachedValue.Content { .agentConfig(answer) }
  static func answer(_ content: CachedValue.Content) -> Answer<AgentConfig>? {
    if case .agentConfig(let answer) = content { answer } else { nil }
  }
}

extension Prompt: Cacheable {
  static func cachedContent(_ answer: Answer<Prompt>) -> CachedValue.Content { .prompt(answer) }
  static func answer(_ content: CachedValue.Content) -> Answer<Prompt>? {
    if case .prompt(let answer) = content { answer } else { nil }
  }
}

extension SourceConfig: Cacheable {
  static func cachedContent(_ answer: Answer<SourceConfig>) -> CachedValue.Content { .sourceConfig(answer) }
  static func answer(_ content: CachedValue.Content) -> Answer<SourceConfig>? {
    if case .sourceConfig(let answer) = content { answer } else { nil }
  }
}

extension MatchedSource: Cacheable {
  static func cachedContent(_ answer: Answer<MatchedSource>) -> CachedValue.Content { .matchedSource(answer) }
  static func answer(_ content: CachedValue.Content) -> Answer<MatchedSource>? {
    if case .matchedSource(let answer) = content { answer } else { nil }
  }
}

extension ResolvedBlob: Cacheable {
  static func cachedContent(_ answer: Answer<ResolvedBlob>) -> CachedValue.Content { .resolvedBlob(answer) }
  static func answer(_ content: CachedValue.Content) -> Answer<ResolvedBlob>? {
    if case .resolvedBlob(let answer) = content { answer } else { nil }
  }
}

extension Page: Cacheable {
  static func cachedContent(_ answer: Answer<Page>) -> CachedValue.Content { .page(answer) }
  static func answer(_ content: CachedValue.Content) -> Answer<Page>? {
    if case .page(let answer) = content { answer as? Answer<Page> } else { nil }
  }
}

/// The cache keys of answers: the `cache_key` of the notices about them. The key of an answer without notices of its
/// own begins with the entity's name and a dot, so that a RESYNC drops it.
enum Keys {
  static func agentConfig(_ id: String) -> CacheKey { CacheKey(entity: Entity.agentConfig.name, identifier: id) }
  static func prompt(_ agentID: String, _ variant: PromptVariant) -> CacheKey {
    CacheKey(entity: Entity.prompt.name, identifier: agentID, variant: variant == .staged ? "staged" : nil)
  }
  static func promptByID(_ id: String, _ variant: PromptVariant) -> CacheKey {
    CacheKey(entity: "prompt.prompt_id", identifier: id, variant: variant == .staged ? "staged" : nil)
  }
  static func sourceConfig(_ id: String) -> CacheKey { CacheKey(entity: Entity.sourceConfig.name, identifier: id) }
  static func container(_ name: String) -> CacheKey { CacheKey(entity: containers, identifier: name) }
  static func aiAgent(_ id: String) -> CacheKey { CacheKey(entity: "source_config.ai_agent_id", identifier: id) }
  /// The key of a blob's source. The notices of the container cover this answer.
  static func blob(_ container: String, _ path: String) -> CacheKey {
    CacheKey(entity: blobs, identifier: container, variant: path)
  }

  /// The key of a list page. Every notice of the entity covers it; `generation` counts them.
  static func list(_ entity: Entity, _ filter: String, _ size: Int, _ token: String?, generation: UInt64) -> CacheKey {
    CacheKey(entity: "\(entity.name).list", identifier: filter, variant: "\(generation):\(size):\(token ?? "")")
  }

  static let containers = "source_config.container"
  static let blobs = "source_config.blob"

  /// The cache key that a notice names; nil if it names none.
  static func noticed(_ notice: Notice) -> CacheKey? {
    guard let entity = notice.entity else { return nil }
    let isPrimary = notice.selector.isEmpty || notice.selector == entity.primarySelector
    let name = isPrimary ? entity.name : "\(entity.name).\(notice.selector)"
    // The rest of the cache key, which follows the key and a colon.
    let rest = notice.cacheKey.utf8.dropFirst(name.utf8.count + 1 + notice.key.utf8.count)
    return CacheKey(entity: name, identifier: notice.key, variant: rest.isEmpty ? nil : String(rest.dropFirst()))
  }

  /// Extends policies by entity name to all answers of those entities, by every selector.
  static func policies(_ policies: [String: NearCachePolicy]) -> [String: NearCachePolicy] {
    var all = policies
    for key in [
      promptByID("", .active), container(""), aiAgent(""), blob("", ""),
    ] + Entity.allCases.map({ list($0, "", 0, nil, generation: 0) }) {
      let entity = key.entity.prefix { $0 != "." }
      if let policy = policies[String(entity)], all[String(key.entity)] == nil { all[String(key.entity)] = policy }
    }
    return all
  }

  /// The common prefix of the keys of all answers that are not looked up by the entity's primary selector.
  static func derivedPrefix(_ entity: Entity) -> String { "\(entity.name)." }
}

extension CachedValue {
  /// Whether the answer covers several documents or is chosen among several: its etag does not cover all of it then.
  private var coversSeveralDocuments: Bool {
    switch content {
    case .matchedSource, .resolvedBlob, .page: true
    case .agentConfig, .prompt, .sourceConfig: false
    }
  }

  /// The answer contains every change up to this revision.
  private var observedRevision: UInt64 {
    switch content {
    case .agentConfig(let answer): answer.observedRevision
    case .prompt(let answer): answer.observedRevision
    case .sourceConfig(let answer): answer.observedRevision
    case .matchedSource(let answer): answer.observedRevision
    case .resolvedBlob(let answer): answer.observedRevision
    case .page: 0
    }
  }

  private var etag: String {
    switch content {
    case .agentConfig(let answer): answer.etag
    case .prompt(let answer): answer.etag
    case .sourceConfig(let answer): answer.etag
    case .matchedSource(let answer): answer.etag
    case .resolvedBlob(let answer): answer.etag
    case .page: ""
    }
  }

  /// Whether this answer contains the change that a notice announces.
  ///
  /// Several changes can share a revision. An answer of the notice's revision contains the change only if all changes
  /// up to that revision had been observed when the answer was looked up, or if the etags are equal. A change that a
  /// reload found although the change stream did not deliver it was not in answers of that revision either.
  func includes(_ notice: Notice) -> Bool {
    if revision > notice.revision { return true }
    if notice.reason.hasPrefix("change_stream:"), observedRevision >= notice.revision { return true }
    return revision == notice.revision && notice.kind == .upsert && !coversSeveralDocuments && etag == notice.etag
  }
}
