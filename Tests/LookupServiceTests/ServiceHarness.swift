// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
internal import Foundation
internal import TestSupport

@testable internal import LookupService

/// The whole service over sources in memory, without sockets. The test's thread is the thread of its only worker.
final class ServiceHarness {
  struct Reply {
    let status: RPCStatus
    let message: WireMessage
    let metadata: RPCMetadata
    /// The wait of the call, instead of a reply.
    let wait: RPCWait?

    var code: RPCStatus.Code { status.code }
    /// The `LookupMetadata` of a lookup.
    var lookup: WireMessage { (try? message.message(2)) ?? WireMessage() }
  }

  let clock = ManualClock()
  let sources: [InMemorySource]
  let worker = TestWorker()
  let hub = InvalidationHub()
  let agentConfigs: ChangeStreamCache<AgentConfigDocument>
  let prompts: ChangeStreamCache<PromptDocument>
  let sourceConfigs: ChangeStreamCache<SourceConfigDocument>
  let service: LookupService
  private let router: RPCRouter
  private let plainCalls: [String: any RPCPlainCalls]
  /// The number of calls that the fast path has answered.
  private(set) var plainCount = 0
  private var started: Set<ServedEntity> = []
  private var watches: [(handler: any RPCStreamHandler, writer: TestStreamWriter)] = []

  init(
    ttl: Duration = .seconds(300), salt: String = "", options: LookupService.Options = .init(),
    minimumProgressInterval: Duration = .milliseconds(10)
  ) {
    let (hub, clock) = (hub, clock)
    let sources = ServedEntity.allCases.map { _ in InMemorySource(clock: clock) }
    self.sources = sources
    func cache<Model: CachedModel>(_ entity: ServedEntity, as _: Model.Type) -> ChangeStreamCache<Model> {
      var options = ChangeStreamCache<Model>.Options()
      options.ttl = ttl
      options.initialRetryDelay = .milliseconds(1)
      options.maximumRetryDelay = .milliseconds(10)
      // The clock does not advance.
      options.operationTimeMargin = .zero
      return ChangeStreamCache(
        source: sources[entity.rawValue], options: options, clock: clock, onInvalidation: { hub.publish(entity, $0) },
        onObserved: { hub.observed() }, onHistoryStart: { hub.beginHistory(entity, after: $0) })
    }
    agentConfigs = cache(.agentConfig, as: AgentConfigDocument.self)
    prompts = cache(.prompt, as: PromptDocument.self)
    sourceConfigs = cache(.sourceConfig, as: SourceConfigDocument.self)
    let served = [ServedCache(agentConfigs), ServedCache(prompts), ServedCache(sourceConfigs)]
    var options = options
    // Tests do not wait a second for a PROGRESS.
    options.minimumProgressInterval = min(options.minimumProgressInterval, minimumProgressInterval)
    service = LookupService(
      caches: served, hub: hub, epoch: EpochSource(readers: served.map(\.reader), salt: salt), workers: [worker],
      options: options)
    router = RPCRouter(service.methods)
    plainCalls = Dictionary(
      uniqueKeysWithValues: router.methods.compactMap { method in method.plain.map { (method.name, $0(0)) } })
  }

  /// Runs `body` on a warm service.
  static func run(
    ttl: Duration = .seconds(300), agents: [String] = [], prompts: [String] = [], sources: [String] = [],
    options: LookupService.Options = .init(), _ body: (ServiceHarness) throws -> Void
  ) throws {
    let harness = ServiceHarness(ttl: ttl, options: options)
    for document in agents { try harness[.agentConfig].put(document) }
    for document in prompts { try harness[.prompt].put(document) }
    for document in sources { try harness[.sourceConfig].put(document) }
    defer { harness.stop() }
    for entity in ServedEntity.allCases { harness.start(entity) }
    try poll("the service is warm") { harness.service.isWarm }
    try harness.settle()
    try body(harness)
  }

  func start(_ entity: ServedEntity) {
    started.insert(entity)
    switch entity {
    case .agentConfig: agentConfigs.start()
    case .prompt: prompts.start()
    case .sourceConfig: sourceConfigs.start()
    }
  }

  func stop() {
    for source in sources { source.setHoldingDeliveries(false) }
    if started.contains(.agentConfig) { agentConfigs.stop() }
    if started.contains(.prompt) { prompts.stop() }
    if started.contains(.sourceConfig) { sourceConfigs.stop() }
    // A transport does the same when its connections close.
    for watch in watches {
      watch.handler.cancelled()
      (watch.writer.onSend, watch.writer.onFinish) = (nil, nil)
    }
    watches = []
    hub.stop()
    // A pending job would keep its shard alive, and the shard the worker.
    worker.run()
  }

  subscript(entity: ServedEntity) -> InMemorySource { sources[entity.rawValue] }

  func reader(_ entity: ServedEntity) -> CacheReader { service.caches[entity.rawValue].reader }

  /// Waits until every change so far has been applied; does not run the worker.
  func apply() throws {
    for entity in ServedEntity.allCases {
      let now = self[entity].now
      let deadline = MonotonicTime.now.advanced(by: .seconds(120))
      while reader(entity).observedRevision < now {
        guard MonotonicTime.now < deadline else { throw TestFailure("\(entity) has not observed \(now)") }
        usleep(200)
      }
    }
  }

  /// Waits until every change so far has been applied and delivered to every watch.
  func settle() throws {
    try apply()
    worker.run()
  }

  // MARK: Calls

  func call(_ name: String, _ request: WireMessage = WireMessage()) throws -> Reply {
    try call(name, bytes: request.encoded)
  }

  /// Calls a method. If the method has a fast path, the fast path must return the same bytes as the general path, or
  /// nothing.
  func call(_ name: String, bytes: [UInt8]) throws -> Reply {
    guard case .unary(let handler) = try method(name).handler else { throw TestFailure("\(name) is a stream") }
    return try worker.runIteration {
      let plain = bytes.withUnsafeBytes { plainCalls[name]?.only($0).map { Array($0.head) + Array($0.body) } }
      let (reply, bytes) = try answer(handler, bytes)
      if let plain {
        plainCount += 1
        guard reply.code == .ok, plain == bytes else { throw TestFailure("\(name) has two answers: \(reply.status)") }
      }
      return reply
    }
  }

  private func answer(_ handler: RPCWaitingCall.Handler, _ bytes: [UInt8]) throws -> (Reply, bytes: [UInt8]) {
    var reply = RPCReply()
    var wait: RPCWait?
    let status = bytes.withUnsafeBytes { buffer in
      let request = RPCRequest(message: buffer, metadata: RPCMetadata(), deadline: nil, worker: worker)
      do throws(RPCStatus) {
        // There is no wait in these tests: a call that would wait gets the reply of a wait that has expired.
        wait = try handler(request, &reply)
        return wait?.expired() ?? .ok
      } catch {
        return error
      }
    }
    let whole = reply.head + reply.body
    let message = status.code == .ok ? try WireMessage(whole) : WireMessage()
    return (Reply(status: status, message: message, metadata: reply.metadata, wait: wait), whole)
  }

  /// Starts a watch. Throws the status with which it is rejected.
  func watch(_ request: WireMessage = WireMessage(), _ writer: TestStreamWriter) throws -> any RPCStreamHandler {
    guard case .serverStreaming(let handler) = try method("WatchInvalidations").handler else {
      throw TestFailure("no stream")
    }
    var reply = RPCReply()
    return try request.encoded.withUnsafeBytes { buffer in
      let request = RPCRequest(message: buffer, metadata: RPCMetadata(), deadline: nil, worker: worker)
      let watch = try handler(request, writer, &reply)
      watches.append((watch, writer))
      return watch
    }
  }

  private func method(_ name: String) throws -> RPCMethod {
    guard let method = router.methods.first(where: { $0.name == name }) else { throw TestFailure("no method \(name)") }
    return method
  }
}

// MARK: Requests

func getAgentConfig(_ agentID: String) -> WireMessage { WireMessage().with(1, agentID) }
func getPrompt(agentID: String) -> WireMessage { WireMessage().with(1, agentID) }
func getPrompt(promptID: String) -> WireMessage { WireMessage().with(2, promptID) }
func getSourceConfig(sourceID: String) -> WireMessage { WireMessage().with(1, sourceID) }
func getSourceConfig(container: String) -> WireMessage { WireMessage().with(2, container) }
func getSourceConfig(agentID: String) -> WireMessage { WireMessage().with(3, agentID) }
func resolveBlob(_ container: String, _ path: String) -> WireMessage {
  WireMessage().with(1, container).with(2, path)
}

/// The enum `PromptVariant`.
enum Variant: UInt64 {
  case active = 1
  case staged, abTest
}

/// Makes a `LookupOptions`.
func lookupOptions(ifNoneMatch: String = "", maximumStalenessMilliseconds: UInt64 = 0, minimumRevision: UInt64 = 0)
  -> WireMessage
{
  var options = WireMessage()
  if !ifNoneMatch.isEmpty { options = options.with(1, ifNoneMatch) }
  if minimumRevision > 0 { options = options.with(2, minimumRevision) }
  if maximumStalenessMilliseconds > 0 { options = options.with(4, maximumStalenessMilliseconds) }
  return options
}
