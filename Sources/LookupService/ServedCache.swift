public import ChangeStreamCache
internal import ConfigModels

/// The three caches that the service serves, in the order of the contract's `Entity`.
public enum ServedEntity: Int, Sendable, CaseIterable {
  case agentConfig, prompt, sourceConfig

  /// The number in `configlookup.v1.Entity`.
  var wireValue: UInt64 { UInt64(rawValue + 1) }

  init?(wireValue: UInt32) {
    self.init(rawValue: Int(wireValue) - 1)
  }

  /// The first part of its cache keys.
  public var name: String {
    switch self {
    case .agentConfig: AgentConfig.entity
    case .prompt: Prompt.entity
    case .sourceConfig: SourceConfig.entity
    }
  }

  /// The last part of its cache keys in a space; nil for most.
  func variant(ofSpace space: UInt8) -> String? {
    switch self {
    case .agentConfig: AgentConfig.variant(ofSpace: space)
    case .prompt: Prompt.variant(ofSpace: space)
    case .sourceConfig: SourceConfig.variant(ofSpace: space)
    }
  }

  /// The field of `InvalidationNotice` that carries a value of this entity.
  var noticeValueField: UInt32 { UInt32(rawValue + 12) }
}

/// A cache as the service sees it: whatever its model is.
public struct ServedCache: Sendable {
  public let reader: CacheReader
  public let health: @Sendable () -> CacheHealth
  public let reload: @Sendable () -> Void

  public init<Model: CachedModel>(_ cache: ChangeStreamCache<Model>) {
    reader = cache.reader
    health = { cache.health }
    reload = { cache.reload() }
  }
}
