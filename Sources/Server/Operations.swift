internal import ChangeStreamCache
internal import Core
internal import LookupService
internal import Network
internal import RPC

/// What the HTTP server answers. Any thread.
final class Operations: Sendable {
  /// What is to be read again, nil for all; and who wants that, nil where everybody may.
  struct Reload: Sendable {
    let entity: ServedEntity?
    let caller: RPCCaller?
  }

  private let readiness: Readiness
  /// Nil while there is nothing to measure yet.
  private let metrics = LateFunction<Void, MetricsReport>()
  /// Nil while there is nothing to reload yet.
  private let reload = LateFunction<Reload, LookupService.RequestedReload>()
  /// Who may do what; nil: everybody may do everything.
  private let access: (any RPCAccess)?
  /// Where there is no `access`, only who has a certificate may do what is not for everybody.
  private let wantsCertificate: Bool

  init(_ readiness: Readiness, access: (any RPCAccess)?, wantsCertificate: Bool) {
    self.readiness = readiness
    self.access = access
    self.wantsCertificate = wantsCertificate
  }

  /// What has caches read their collections again from now on.
  func invalidate(_ reload: @escaping @Sendable (Reload) -> LookupService.RequestedReload) {
    self.reload.set(reload)
  }

  /// What `/metrics` shows from now on.
  func report(_ metrics: @escaping @Sendable () -> MetricsReport) {
    self.metrics.set(metrics)
  }

  var routes: [String: OperationsRoute] {
    [
      // Of nothing but this process: a database that is away is no reason to start it again.
      "/health/live": OperationsRoute(.get) { _ in .json("{\"status\":\"live\"}") },
      "/health/ready": OperationsRoute(.get) { _ in self.report.ready },
      "/health/cache": OperationsRoute(.get) { _ in self.report.detail },
      "/metrics": OperationsRoute(.get) { _ in self.metricsReply },
      "/admin/cache/invalidate": OperationsRoute(.post) { self.invalidate($0) },
    ]
  }

  /// `?entity=prompt`, or all.
  private func invalidate(_ request: OperationsRequest) -> OperationsReply {
    do throws(RPCStatus) {
      let caller = try administrator(request)
      var entity: ServedEntity?
      if let query = request.query, !query.isEmpty {
        entity = ServedEntity.allCases.first { query == "entity=\($0.name)" }
        if entity == nil {
          throw RPCStatus.invalid(
            "entity", "must be one of \(ServedEntity.allCases.map(\.name).joined(separator: ", "))")
        }
      }
      guard let reloaded = reload(Reload(entity: entity, caller: caller)) else {
        throw RPCStatus(.unavailable, "The server is starting; try again")
      }
      // Reloads by hand are some seconds apart: a caller who was too early shares the next one.
      let names = reloaded.entities.map { quoted($0.name) }.joined(separator: ",")
      return .json("{\"entities\":[\(names)],\"starts_after_ms\":\(reloaded.startsAfterMilliseconds)}")
    } catch {
      let status =
        switch error.code {
        case .unauthenticated: 401
        case .permissionDenied: 403
        case .invalidArgument: 400
        default: 503
        }
      return OperationsReply(status: status, contentType: "text/plain", body: "\(error.message)\n")
    }
  }

  /// Who asks; nil where everybody may. Throws for who may not.
  private func administrator(_ request: OperationsRequest) throws(RPCStatus) -> RPCCaller? {
    guard let access else {
      guard wantsCertificate, request.certificateNames.isEmpty else { return nil }
      throw RPCStatus(.unauthenticated, "This path requires a client certificate")
    }
    var authorization = request.authorization
    let identities = RPCIdentities(access, HTTPCaller(request))
    let identity = authorization?.withUTF8 { identities[UnsafeRawBufferPointer($0)] } ?? identities[nil]
    try identity.require(.admin)
    return try identity.caller()
  }

  /// As of now; nil while there is nothing to measure yet.
  var currentMetrics: Metrics? { metrics()?.metrics }

  private var metricsReply: OperationsReply {
    guard let metrics = currentMetrics else {
      return OperationsReply(status: 503, contentType: "text/plain", body: "The server is starting; try again\n")
    }
    return OperationsReply(status: 200, contentType: Metrics.textContentType, body: metrics.text)
  }

  private var report: HealthReport {
    HealthReport(
      caches: readiness.caches.map { ($0.reader.entity, $0.health(), readiness.reasonAgainst($0)) },
      isDraining: readiness.isDraining)
  }
}

/// Who has sent a request over HTTP.
private final class HTTPCaller: RPCPeer {
  let address: String
  let certificateNames: [String]

  init(_ request: OperationsRequest) {
    address = request.peer
    certificateNames = request.certificateNames
  }
}
