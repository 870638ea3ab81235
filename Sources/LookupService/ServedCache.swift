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

  /// The spaces of its keys, indexed by ``LookupKey/space``.
  var keySpaces: [KeySpace] {
    switch self {
    case .agentConfig: AgentConfig.keySpaces
    case .prompt: Prompt.keySpaces
    case .sourceConfig: SourceConfig.keySpaces
    }
  }

  /// The last part of its cache keys in a space; nil for most.
  func variant(ofSpace space: UInt8) -> String? { keySpaces[Int(space)].variant }

  /// The request field by which answers of a space are looked up; nil for a space whose answers are not announced.
  func selector(ofSpace space: UInt8) -> String? { keySpaces[Int(space)].selector }

  /// The field of `InvalidationNotice` that carries a value of this entity.
  var noticeValueField: UInt32 { UInt32(rawValue + 12) }
}

/// A cache as the service sees it: whatever its model is.
public struct ServedCache: Sendable {
  public let reader: CacheReader
  public let health: @Sendable () -> CacheHealth
  /// Asks for a reload, and gives how long it waits at least.
  public let reload: @Sendable () -> Duration

  public init<Model: CachedModel>(_ cache: ChangeStreamCache<Model>) {
    reader = cache.reader
    health = { cache.health }
    reload = { cache.reload() }
  }
}
