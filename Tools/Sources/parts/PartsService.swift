// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
internal import LookupService
internal import TestSupport

/// The whole service over in-memory sources. The measuring thread runs it step by step.
final class PartsService {
  let source = InMemorySource(maximumWait: .zero)
  let cache: ChangeStreamCache<AgentConfigDocument>
  let service: LookupService
  let worker: any RPCWorker
  private let hub = InvalidationHub()
  private let others: (ChangeStreamCache<PromptDocument>, ChangeStreamCache<SourceConfigDocument>)
  private var watches: [(handler: any RPCStreamHandler, writer: CountingWriter)] = []

  private let keys: Int
  private let descriptionBytes: Int
  private var changes = 0

  /// Creates a warm service with `keys` agent configs.
  ///
  /// - Parameters:
  ///   - keys: the number of agent configs.
  ///   - descriptionBytes: the size of each description; with the default, a reply has about 2 KiB.
  ///   - workers: the workers of the service; the first one runs the measured calls.
  /// - Throws: `TestFailure` if a cache does not become warm.
  init(keys: Int, descriptionBytes: Int = 1500, workers: [any RPCWorker] = [TestWorker()]) throws {
    (self.keys, self.descriptionBytes) = (keys, descriptionBytes)
    for key in 0..<keys { try source.put(Self.document(key, descriptionBytes: descriptionBytes)) }
    let hub = hub
    cache = Self.cache(source, .agentConfig, hub)
    others = (
      Self.cache(InMemorySource(maximumWait: .zero), .prompt, hub),
      Self.cache(InMemorySource(maximumWait: .zero), .sourceConfig, hub)
    )
    let served = [ServedCache(cache), ServedCache(others.0), ServedCache(others.1)]
    worker = workers[0]
    service = LookupService(
      caches: served, hub: hub, epoch: EpochSource(readers: served.map(\.reader), salt: ""), workers: workers)
    try Self.warm(cache)
    try Self.warm(others.0)
    try Self.warm(others.1)
  }

  static func key(_ number: Int) -> String { "agent-\(number)" }

  static func document(_ number: Int, descriptionBytes: Int, change: Int = 0) -> String {
    let key = key(number)
    let description = "\(change) \(String(repeating: "x", count: descriptionBytes))"
    return """
      {"_id": "\(key)", "id": "\(key):1.0.0", "agent_id": "\(key)", "version": "1.0.0", "type": "explorer",
       "status": "active", "description": "\(description)", "input": {"event": "in", "schema": {}},
       "output": {"event": "out", "schema": {}}, "llm": {"model": "m"}, "error_handling": {}, "rag": {},
       "extraction_schema": {}, "metadata": {"author": "t", "created_at": "2026-01-01T00:00:00Z",
       "updated_at": "2026-01-02T00:00:00Z"}}
      """
  }

  func handler(_ method: String) throws -> RPCMethod.Handler {
    guard let method = service.methods.first(where: { $0.name == method }) else { throw TestFailure("no \(method)") }
    return method.handler
  }

  /// Opens `count` watches without a filter, whose peer always accepts more. Returns the writer that counts their
  /// messages.
  func watch(_ count: Int) throws -> CountingWriter {
    let writer = CountingWriter()
    guard case .serverStreaming(let open) = try handler("WatchInvalidations") else { throw TestFailure("no stream") }
    for _ in 0..<count {
      var reply = RPCReply()
      let request = RPCRequest(
        message: UnsafeRawBufferPointer(start: nil, count: 0), metadata: RPCMetadata(), deadline: nil, worker: worker)
      watches.append((try open(request, writer, &reply), writer))
    }
    return writer
  }

  /// Changes `count` documents in the source, one key after the other. The cache does not apply the changes yet.
  func change(_ count: Int) throws {
    for _ in 0..<count {
      changes += 1
      try source.put(Self.document(changes % keys, descriptionBytes: descriptionBytes, change: changes))
    }
  }

  /// Runs `count` steps of the cache's stream; each applies one change.
  func apply(_ count: Int) {
    for _ in 0..<count { cache.performStreamStep() }
  }

  private static func cache<Model: CachedModel>(
    _ source: InMemorySource, _ entity: ServedEntity, _ hub: InvalidationHub
  ) -> ChangeStreamCache<Model> {
    var options = ChangeStreamCache<Model>.Options()
    options.operationTimeMargin = .zero
    return ChangeStreamCache(
      source: source, options: options, onInvalidation: { hub.publish(entity, $0) }, onObserved: { hub.observed() },
      onHistoryStart: { hub.beginHistory(entity, after: $0) })
  }

  private static func warm(_ cache: ChangeStreamCache<some CachedModel>) throws {
    for _ in 0..<1000 where !cache.reader.isLoaded {
      cache.performStreamStep()
      cache.performReadStep()
    }
    guard cache.reader.isLoaded else { throw TestFailure("a cache does not become warm") }
    // The replies after the load advance the observed revision.
    for _ in 0..<3 { cache.performStreamStep() }
  }
}

/// The writer of a watch that is always writable and counts messages.
final class CountingWriter: RPCStreamWriter {
  private(set) var messages = 0
  var isWritable: Bool { true }
  func send(_ reply: borrowing RPCReply) { messages += 1 }
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {}
}
