// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import LookupService

/// The routes of the HTTP server. Any thread.
final class Operations: Sendable {
  /// A request to reload: the cache, nil for all; and the caller, nil if every caller may reload.
  struct Reload: Sendable {
    let entity: ServedEntity?
    let caller: RPCCaller?
  }

  private let readiness: Readiness
  /// Nil until the server has been set up.
  private let metrics = LateFunction<Void, MetricsReport>()
  /// Nil until the server has been set up.
  private let reload = LateFunction<Reload, LookupService.RequestedReload>()
  /// The credentials. Nil to permit every caller every call.
  private let access: (any RPCAccess)?
  /// Whether requests that need permission must have a client certificate if there is no `access`.
  private let wantsCertificate: Bool

  init(_ readiness: Readiness, access: (any RPCAccess)?, wantsCertificate: Bool) {
    self.readiness = readiness
    self.access = access
    self.wantsCertificate = wantsCertificate
  }

  /// Sets the function that reloads caches.
  func invalidate(_ reload: @escaping @Sendable (Reload) -> LookupService.RequestedReload) {
    self.reload.set(reload)
  }

  /// Sets the function that produces the figures of `/metrics`.
  func report(_ metrics: @escaping @Sendable () -> MetricsReport) {
    self.metrics.set(metrics)
  }

  var routes: [String: OperationsRoute] {
    [
      // It depends on nothing but this process: an unreachable database is no reason to restart it.
      "/health/live": OperationsRoute(.get) { _ in .json("{\"status\":\"live\"}") },
      "/health/ready": OperationsRoute(.get) { _ in self.report.ready },
      "/health/cache": OperationsRoute(.get) { _ in self.report.detail },
      "/metrics": OperationsRoute(.get) { _ in self.metricsReply },
      "/admin/cache/invalidate": OperationsRoute(.post) { self.invalidate($0) },
    ]
  }

  /// Handles a request to reload: `?entity=prompt`, or all caches without a query.
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
        throw RPCStatus(.notReady, "The server is starting; try again")
      }
      // Manual reloads are some seconds apart: an earlier request shares the next one.
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

  /// The caller of a request that needs the admin permission; nil if every caller has it. Throws if the caller does
  /// not.
  private func administrator(_ request: OperationsRequest) throws(RPCStatus) -> RPCCaller? {
    guard let access else {
      guard wantsCertificate, request.certificateNames.isEmpty else { return nil }
      throw RPCStatus(.credentialsMissing, "This path requires a client certificate")
    }
    var authorization = request.authorization
    let identities = RPCIdentities(access, HTTPCaller(request))
    let identity = authorization?.withUTF8 { identities[UnsafeRawBufferPointer($0)] } ?? identities[nil]
    try identity.require(.admin)
    return try identity.caller()
  }

  /// The metrics as of now; nil until the server has been set up.
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

/// The caller of an HTTP request.
private final class HTTPCaller: RPCPeer {
  let address: String
  let certificateNames: [String]

  init(_ request: OperationsRequest) {
    address = request.peer
    certificateNames = request.certificateNames
  }
}
