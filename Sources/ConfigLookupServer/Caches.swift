// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigModels
internal import LookupService
internal import MongoSource

/// The three caches, on MongoDB, and the hub to which they publish their notices.
final class Caches: Sendable {
  let hub = InvalidationHub()
  private let agentConfigs: ChangeStreamCache<AgentConfigDocument>
  private let prompts: ChangeStreamCache<PromptDocument>
  private let sourceConfigs: ChangeStreamCache<SourceConfigDocument>
  /// Called when an observed revision has advanced, and so also when a cache has been loaded. It may refer to the owner
  /// of this object; it is cleared when the caches end.
  private let onObserved = LateFunction<Void, Void>()

  init(_ configuration: ServerConfiguration, logger: Logger) throws {
    let uri = try configuration.checkedMongoDBURI()
    for warning in uri.warnings {
      logger.warning("configuration_warning", warning, ["setting": "--mongodb-uri"])
    }
    let pool = MongoClientPool(uri)
    let (hub, onObserved) = (hub, onObserved)
    func cache<Model: CachedModel>(
      _ entity: ServedEntity, _ namespace: String, _ flag: String
    ) throws -> ChangeStreamCache<Model> {
      guard let namespace = MongoNamespace(namespace) else {
        throw UsageError("\(namespace): does not have the form DATABASE.COLLECTION")
      }
      var options = ChangeStreamCache<Model>.Options()
      options.ttl = configuration.ttl
      options.majorityLagLimit = configuration.maximumMajorityLag
      options.historyTimeout = configuration.historyTimeout
      return ChangeStreamCache(
        source: MongoDocumentSource(pool: pool, namespace: namespace, setting: flag, logger: logger),
        options: options,
        logger: logger, onInvalidation: { hub.publish(entity, $0) },
        onObserved: {
          hub.observed()
          _ = onObserved()
        },
        onHistoryStart: { hub.beginHistory(entity, after: $0) },
        onEarlierHistory: { hub.extendHistory(entity, from: $0, $1) })
    }
    agentConfigs = try cache(.agentConfig, configuration.agentConfigs, "--agent-configs")
    prompts = try cache(.prompt, configuration.prompts, "--prompts")
    sourceConfigs = try cache(.sourceConfig, configuration.sourceConfigs, "--source-configs")
  }

  /// In the order of ``ServedEntity``.
  var served: [ServedCache] { [ServedCache(agentConfigs), ServedCache(prompts), ServedCache(sourceConfigs)] }

  /// Starts to read the collections.
  func start(onObserved: @escaping @Sendable () -> Void) {
    self.onObserved.set(onObserved)
    agentConfigs.start()
    prompts.start()
    sourceConfigs.start()
  }

  /// Stops the caches and waits for their threads: up to the database's timeouts if the database does not answer. The
  /// caller must stop ``hub`` last.
  func stop() {
    onObserved.set(nil)
    agentConfigs.beginStop()
    prompts.beginStop()
    sourceConfigs.beginStop()
    agentConfigs.stop()
    prompts.stop()
    sourceConfigs.stop()
  }
}
