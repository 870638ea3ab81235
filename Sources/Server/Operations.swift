internal import ChangeStreamCache
internal import LookupService
internal import Network

/// What the HTTP server answers. Any thread.
final class Operations: Sendable {
  private let readiness: Readiness

  init(_ readiness: Readiness) {
    self.readiness = readiness
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
      caches: readiness.caches.map { ($0.reader.entity, $0.health(), readiness.reasonAgainst($0)) },
      isDraining: readiness.isDraining)
  }
}
