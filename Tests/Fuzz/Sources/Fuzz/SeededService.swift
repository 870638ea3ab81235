// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
internal import Foundation

@testable internal import LookupService

/// The service over the documents of `deploy/seed`. They never change, so the effect of an input depends on the input
/// only.
final class SeededService: Sendable {
  static let shared = SeededService()

  let worker = FuzzWorker()
  let service: LookupService
  let methods: [RPCMethod]

  private init() {
    let hub = InvalidationHub()
    func cache<Model: CachedModel>(_ entity: ServedEntity, _ file: String, as _: Model.Type) -> ChangeStreamCache<Model>
    {
      var options = ChangeStreamCache<Model>.Options()
      // The clock never advances, so with a delay the observed revision would never advance either.
      options.operationTimeMargin = .zero
      return ChangeStreamCache(
        source: SeedSource(file), options: options, clock: StandingClock(), onInvalidation: { hub.publish(entity, $0) },
        onObserved: { hub.observed() }, onHistoryStart: { hub.beginHistory(entity, after: $0) })
    }
    let agents = cache(.agentConfig, "agent_configs", as: AgentConfigDocument.self)
    let prompts = cache(.prompt, "prompts", as: PromptDocument.self)
    let sources = cache(.sourceConfig, "source_configs", as: SourceConfigDocument.self)
    let served = [ServedCache(agents), ServedCache(prompts), ServedCache(sources)]
    service = LookupService(
      caches: served, hub: hub, epoch: EpochSource(readers: served.map(\.reader), salt: ""), workers: [worker])
    methods = service.methods

    agents.start()
    prompts.start()
    sources.start()
    while !service.isWarm || served.contains(where: { $0.reader.observedRevision < SeedSource.now }) {
      Thread.sleep(forTimeInterval: 0.001)
    }
    // The caches' threads end here, because they would use the processor while inputs are run.
    agents.stop()
    prompts.stop()
    sources.stop()
    expect(served.allSatisfy { $0.reader.count > 0 }, "a seed file without a document that counts")
  }
}

private struct StandingClock: TimeSource {
  let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
  let wallNow = WallTime(milliseconds: 1_800_000_000_000)
}

/// A collection that is read from a file. It never changes.
private final class SeedSource: DocumentSource {
  static let now = Revision(1_700_000_000 << 32)
  private let name: String
  private let documents: [BSONDocument]

  init(_ name: String) {
    self.name = name
    let path = "deploy/seed/\(name).json"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8),
      let list = try? BSONDocument(json: "{\"documents\": \(text)}")
    else { fatalError("\(path): run from the root of the package") }
    documents = list.withObject { object in
      var documents: [BSONDocument] = []
      object.value("documents").flatMap { BSONObject(elementsOf: $0) }?.forEach { _, value in
        if let document = BSONDocument(bytes: Array(value.bytes)) { documents.append(document) }
        return true
      }
      return documents
    }
  }

  func identity() throws(SourceError) -> String { name }

  func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream { SeedStream() }

  func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    for document in documents where !body(document) { break }
    return Self.now
  }
}

private final class SeedStream: DocumentStream {
  var progress: StreamProgress { StreamProgress(reportedTime: SeedSource.now, askedAt: .now) }
  let resumeToken: ResumeToken? = nil

  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    Thread.sleep(forTimeInterval: 0.001)
    return nil
  }

  func close() {}
}
