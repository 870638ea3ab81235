internal import ChangeStreamCache
internal import Core
internal import LookupService
internal import Network
internal import Synchronization

/// What the HTTP server answers. Any thread.
final class Operations: Sendable {
  private let caches: [ServedCache]
  private let maximumStalenessSeconds: Double?
  private let draining = Atomic<Bool>(false)

  init(caches: [ServedCache], maximumStalenessSeconds: Double?) {
    self.caches = caches
    self.maximumStalenessSeconds = maximumStalenessSeconds
  }

  /// From now on no call should come here.
  func startDraining() {
    draining.store(true, ordering: .relaxed)
  }

  var routes: [String: OperationsRoute] {
    [
      // Of nothing but this process: a database that is away is no reason to start it again.
      "/health/live": OperationsRoute(.get) { _ in .json("{\"status\":\"live\"}") },
      "/health/ready": OperationsRoute(.get) { _ in self.report.ready },
      "/health/cache": OperationsRoute(.get) { _ in self.report.detail },
    ]
  }

  private var report: HealthReport {
    HealthReport(
      caches: caches.map { ($0.reader.entity, $0.health()) }, isDraining: draining.load(ordering: .relaxed),
      maximumStalenessSeconds: maximumStalenessSeconds)
  }
}
