// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import GRPCServices
internal import LookupService
internal import Synchronization

/// Whether the server should get calls. HTTP and gRPC health share this rule with the service itself. Any thread; never
/// blocks.
final class Readiness: Sendable {
  let caches: [ServedCache]
  /// The time after which unverified contents are no longer served; nil for no limit.
  private let maximumStaleness: Duration?
  private let draining = Atomic<Bool>(false)

  init(caches: [ServedCache], maximumStaleness: Duration?) {
    self.caches = caches
    self.maximumStaleness = maximumStaleness
  }

  /// Marks the server as draining: it should get no calls from now on.
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

  /// The reason why lookups in the cache are rejected, other than draining; nil if they are not.
  func reasonAgainst(_ cache: ServedCache) -> String? {
    guard cache.reader.isLoaded else { return "not_loaded" }
    if let limit = maximumStaleness, .milliseconds(cache.reader.ageMilliseconds) > limit { return "stale" }
    return nil
  }
}

extension Readiness {
  /// The names whose health gRPC clients can request: the whole server, its services, its caches.
  var subjects: [HealthService.Subject] {
    ["", LookupService.serviceName, LookupService.adminServiceName].map { name in
      HealthService.Subject(name) { self.isReady }
    }
      + caches.map { cache in
        HealthService.Subject(cache.reader.entity) { self.isReady(cache) }
      }
  }
}
