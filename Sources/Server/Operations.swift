internal import ChangeStreamCache
internal import Core
internal import LookupService
internal import Network

/// What the HTTP server answers. Any thread.
final class Operations: Sendable {
  private let readiness: Readiness
  /// Nil while there is nothing to measure yet.
  private let metrics = Locked<(@Sendable () -> MetricsReport)?>(nil)

  init(_ readiness: Readiness) {
    self.readiness = readiness
  }

  /// What `/metrics` shows from now on.
  func report(_ metrics: @escaping @Sendable () -> MetricsReport) {
    self.metrics.withLock { $0 = metrics }
  }

  var routes: [String: OperationsRoute] {
    [
      // Of nothing but this process: a database that is away is no reason to start it again.
      "/health/live": OperationsRoute(.get) { _ in .json("{\"status\":\"live\"}") },
      "/health/ready": OperationsRoute(.get) { _ in self.report.ready },
      "/health/cache": OperationsRoute(.get) { _ in self.report.detail },
      "/metrics": OperationsRoute(.get) { _ in self.metricsReply },
    ]
  }

  /// As of now; nil while there is nothing to measure yet.
  var currentMetrics: Metrics? { metrics.withLock({ $0 })?().metrics }

  private var metricsReply: OperationsReply {
    guard let metrics = currentMetrics else {
      return OperationsReply(status: 503, contentType: "text/plain", body: "the server is starting: try again\n")
    }
    return OperationsReply(status: 200, contentType: Metrics.textContentType, body: metrics.text)
  }

  private var report: HealthReport {
    HealthReport(
      caches: readiness.caches.map { ($0.reader.entity, $0.health(), readiness.reasonAgainst($0)) },
      isDraining: readiness.isDraining)
  }
}
