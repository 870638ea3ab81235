internal import ChangeStreamCache
internal import GRPCServices
internal import LookupService
internal import Synchronization

/// Whether calls should come here: one rule for HTTP and for gRPC's health, the one by which calls are answered.
/// Any thread, no waiting.
final class Readiness: Sendable {
  let caches: [ServedCache]
  /// Contents that nothing has confirmed for longer are not served; nil: they are.
  private let maximumStalenessSeconds: Double?
  private let draining = Atomic<Bool>(false)

  init(caches: [ServedCache], maximumStalenessSeconds: Double?) {
    self.caches = caches
    self.maximumStalenessSeconds = maximumStalenessSeconds
  }

  /// From now on no call should come here.
  func startDraining() {
    draining.store(true, ordering: .releasing)
  }

  var isDraining: Bool { draining.load(ordering: .acquiring) }

  /// Whether calls of every kind are answered.
  var isReady: Bool { caches.allSatisfy(isReady) }

  /// Whether lookups in this cache are answered.
  func isReady(_ cache: ServedCache) -> Bool {
    !isDraining && reasonAgainst(cache) == nil
  }

  /// Why lookups in the cache are refused, other than for draining; nil: they are not.
  func reasonAgainst(_ cache: ServedCache) -> String? {
    guard cache.reader.isLoaded else { return "not_loaded" }
    if let limit = maximumStalenessSeconds, Double(cache.reader.ageMilliseconds) > limit * 1000 { return "stale" }
    return nil
  }
}

extension Readiness {
  /// The names that gRPC clients can ask the health of: the whole server, its services, its caches.
  var subjects: [HealthService.Subject] {
    ["", LookupService.serviceName, LookupService.adminServiceName].map { name in
      HealthService.Subject(name) { self.isReady }
    }
      + caches.map { cache in
        HealthService.Subject(cache.reader.entity) { self.isReady(cache) }
      }
  }
}
