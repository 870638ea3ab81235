// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

/// A cache of countries with an in-memory source, and the notices that it announced. It is started by ``start()`` and
/// must be stopped.
final class CacheHarness: Sendable {
  let source: InMemorySource
  let log = CapturedLog()
  let clock = ManualClock()
  let cache: ChangeStreamCache<Country>
  private let announced = Locked<[Invalidation]>([])

  init(ttl: Duration = .seconds(300)) {
    source = InMemorySource(clock: clock)
    var options = ChangeStreamCache<Country>.Options()
    options.ttl = ttl
    options.initialRetryDelay = .milliseconds(1)
    options.maximumRetryDelay = .milliseconds(10)
    // The manual clock does not advance by itself.
    options.operationTimeMargin = .zero
    let announced = announced
    cache = ChangeStreamCache(source: source, options: options, clock: clock, logger: log.logger) { invalidations in
      announced.withLock { $0 += invalidations }
    }
  }

  /// Runs `body` with a started cache, and stops the cache afterwards.
  static func run(ttl: Duration = .seconds(300), seed: [String] = [], _ body: (CacheHarness) throws -> Void) throws {
    let harness = CacheHarness(ttl: ttl)
    for document in seed { try harness.source.put(document) }
    harness.cache.start()
    defer {
      harness.source.setHoldingDeliveries(false)
      harness.source.setOnRow(nil)
      harness.cache.stop()
    }
    try poll("the cache is warm") { harness.cache.reader.isLoaded }
    try body(harness)
  }

  /// The name of the country that the key `code` is answered with.
  func name(_ code: String) -> String? { cache.value(for: LookupKey(code))?.name }

  func revision(_ code: String) -> Revision? { cache.reader.answer(LookupKey(code))?.revision }

  /// Waits until all changes so far have been applied.
  func settle() throws {
    let now = source.now
    try poll("the cache has observed \(now)") { cache.reader.observedRevision >= now }
  }

  var invalidations: [Invalidation] { announced.withLock { $0 } }

  /// The announced notices in short form: `upsert KE change_stream:insert`.
  var notices: [String] {
    invalidations.map { "\($0.kind) \($0.key.text) \($0.reason)" }
  }
}
