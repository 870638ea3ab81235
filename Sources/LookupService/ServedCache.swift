// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache
internal import ConfigModels

/// The entities that the service serves, each with a cache, in the order of `Entity` in the protocol.
public enum ServedEntity: Int, Sendable, CaseIterable {
  /// An entity, in the order of the protocol.
  case agentConfig, prompt, sourceConfig

  /// The number of the entity in `configlookup.v1.Entity`.
  var wireValue: UInt64 { UInt64(rawValue + 1) }

  init?(wireValue: UInt32) {
    self.init(rawValue: Int(wireValue) - 1)
  }

  /// The name of the entity: the first part of its cache keys.
  public var name: String {
    switch self {
    case .agentConfig: AgentConfigDocument.entity
    case .prompt: PromptDocument.entity
    case .sourceConfig: SourceConfigDocument.entity
    }
  }

  /// The key spaces of the entity, indexed by ``LookupKey/space``.
  var keySpaces: [KeySpace] {
    switch self {
    case .agentConfig: AgentConfigDocument.keySpaces
    case .prompt: PromptDocument.keySpaces
    case .sourceConfig: SourceConfigDocument.keySpaces
    }
  }

  /// The variant of a space: the last part of its cache keys; nil for most.
  func variant(ofSpace space: UInt8) -> String? { keySpaces[Int(space)].variant }

  /// The selector of a space: the request field by which its answers are looked up; nil for a space whose answers are
  /// not announced.
  func selector(ofSpace space: UInt8) -> String? { keySpaces[Int(space)].selector }

  /// The field of `InvalidationNotice` that carries a value of this entity.
  var noticeValueField: UInt32 { UInt32(rawValue + 12) }
}

/// A cache with its model's type erased, as the service uses it.
public struct ServedCache: Sendable {
  /// Reads the cache.
  public let reader: CacheReader
  /// Returns the health of the cache. Any thread.
  public let health: @Sendable () -> CacheHealth
  /// Requests a reload, and returns the minimum time until it begins. Any thread.
  public let reload: @Sendable () -> Duration

  /// Erases the type of a cache.
  ///
  /// - Parameter cache: the cache.
  public init<Model: CachedModel>(_ cache: ChangeStreamCache<Model>) {
    reader = cache.reader
    health = { cache.health }
    reload = { cache.reload() }
  }
}
