// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
public import ConfigLookupCore
internal import ConfigLookupCredentials
public import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupTelemetry
internal import FramedTransport
internal import GRPCServices
internal import GRPCTransport
internal import LookupService

/// The whole server: caches on MongoDB, the service on top of them, and the transports. Any thread.
public final class ConfigLookupServer: Sendable {
  private let caches: Caches
  private let group: EventLoopGroup
  private let service: LookupService
  private let framed: FramedEndpoint
  private let grpc: GRPCEndpoint
  private let transport: ConnectionServer
  private let readiness: Readiness
  private let health: HealthService
  private let http: OperationsHTTP
  private let files: FileWatcher
  /// Nil if metrics are not sent by OTLP.
  private let exporter: OTLPExporter?

  /// Binds the ports and starts to read the collections. Calls get UNAVAILABLE until ``isWarm``. The caller must call
  /// ``stop()`` in the end.
  ///
  /// - Parameters:
  ///   - configuration: the configuration.
  ///   - logger: receives all log events of the server.
  /// - Throws: an error that names the flag at fault, or the error of a port that cannot be bound.
  public init(_ configuration: ServerConfiguration, logger: Logger) throws {
    for warning in configuration.warnings { logger.warning("configuration_warning", warning) }
    caches = try Caches(configuration, logger: logger)
    let (served, hub) = (caches.served, caches.hub)
    readiness = Readiness(caches: served, maximumStaleness: configuration.maximumStaleness)
    let tls = try ServerTLS(configuration)
    tls.logWarnings(logger)
    for warning in configuration.permissionWarnings { logger.warning("file_permissions", warning) }
    let credentialsFile = configuration.credentialsFile.map { WatchedFiles([$0]) }
    let credentials = try configuration.credentials(logger)
    let report = LimitReport(logger)
    let operations = Operations(readiness, access: credentials, wantsCertificate: configuration.tlsClientCA != nil)
    // HTTP starts first and stops last, because its clients may ask for the health at any time.
    http = try listening("--http-listen") { () throws(NetworkError) in
      try OperationsHTTP(
        configuration.httpListen, routes: operations.routes, limits: configuration.httpLimits,
        allowedHosts: configuration.httpAllowedHosts, tls: tls.http, logger: logger, report: report)
    }
    do {
      group = try EventLoopGroup(
        count: configuration.threads, buffers: BufferBudget(limit: configuration.maximumBufferedBytes, report: report),
        returnsMemory: true)
    } catch {
      http.stop()
      throw error
    }
    do {
      service = LookupService(
        caches: served, hub: hub,
        epoch: EpochSource(readers: served.map(\.reader), salt: configuration.epochSalt), workers: group.loops,
        options: configuration.serviceOptions, report: report, logger: logger)
      health = HealthService(
        subjects: readiness.subjects, workers: group.loops, limits: configuration.healthWatchLimits, report: report)
      framed = FramedEndpoint(
        router: RPCRouter(service.methods), group: group, access: credentials, limits: configuration.framedLimits,
        logger: logger)
      grpc = GRPCEndpoint(
        router: RPCRouter(grpcMethods(service, health, configuration)), group: group,
        access: credentials, limits: configuration.gRPCLimits,
        maximumAge: configuration.maximumConnectionAge, logger: logger)
      let endpoint = ProtocolSniffer(
        framed: framed, http2: grpc, group: group, firstByteTimeout: configuration.firstByteTimeout)
      var serving = configuration.connections
      serving.tls = tls.rpc
      transport = try listening("--listen") { [group] () throws(NetworkError) in
        try ConnectionServer(endpoint: endpoint, group: group, configuration: serving, logger: logger, report: report)
      }
    } catch {
      group.stop()
      http.stop()
      hub.stop()
      throw error
    }
    var watched = tls.fileGroups(logger)
    if let credentials, let credentialsFile { watched.append(fileGroup(credentials, credentialsFile, service)) }
    files = FileWatcher(watched, every: configuration.fileCheckInterval, logger: logger)
    operations.invalidate { [service] in service.reload($0.entity, askedBy: $0.caller) }
    operations.report { [service, framed, grpc, group, transport, readiness, health, http, files] in
      MetricsReport(
        caches: zip(readiness.caches, service.figures).map {
          MetricsReport.Cache(name: $0.reader.entity, health: $0.health(), figures: $1)
        },
        watches: service.watchFigures, transports: [.init(framed), .init(grpc)], group: group,
        connections: transport.connectionCount, healthWatches: health.watchCount, limits: report.count,
        refusals: { credentials?.refusals($0) ?? 0 }, httpRefusals: http.refusals,
        unreadFiles: files.failedCount, isReady: readiness.isReady, process: ProcessFigures(), now: .now)
    }
    exporter = configuration.otlp.map { settings in
      OTLPExporter(settings, version: serverVersion, since: ProcessFigures.start, logger: logger) {
        operations.currentMetrics ?? Metrics()
      }
    }
    caches.start { [health] in health.refresh() }
    files.start()
    exporter?.run()
  }

  /// Reloads the files that the configuration names, soon. A problem is logged, and the previous contents stay in
  /// force.
  public func reloadFiles() {
    files.reloadAll()
  }

  /// Checks that no event loop hangs.
  ///
  /// - Parameter body: called once, when every loop has finished an iteration.
  func afterIterationOfAllLoops(_ body: @escaping @Sendable () -> Void) {
    group.afterIterationOfAll(body)
  }

  /// The address of lookups and watches, with the port that was bound.
  public var address: HostAndPort { transport.address.hostAndPort }

  /// The address of HTTP, with the port that was bound.
  public var httpAddress: HostAndPort { http.address.hostAndPort }

  /// Whether every cache has been loaded.
  public var isWarm: Bool { service.isWarm }

  /// Drains the server: it is not ready any more and accepts no new calls; open calls finish, and watches end with a
  /// last PROGRESS. Waits until that is done.
  ///
  /// - Parameter deadline: the time until which to wait.
  /// - Returns: false if some calls were still open at the deadline.
  public func drain(deadline: MonotonicTime) -> Bool {
    readiness.startDraining()
    health.refresh()
    transport.drain()
    return transport.waitUntilDrained(deadline: deadline)
  }

  /// Stops all parts in the opposite order of their start, and waits for them: up to the database's timeouts if the
  /// database does not answer.
  public func stop() {
    exporter?.stop()
    files.stop()
    transport.stop()
    caches.stop()
    group.stop()
    http.stop()
    caches.hub.stop()
  }
}

/// The credentials file, to be watched for changes.
private func fileGroup(
  _ credentials: Credentials, _ file: WatchedFiles, _ service: LookupService
) -> FileWatcher.Group {
  FileWatcher.Group(name: "credentials", files: file) {
    try credentials.reload()
    service.credentialsChanged()
  }
}

/// The methods that gRPC clients can call: those of the service, health and reflection.
func grpcMethods(
  _ service: LookupService, _ health: HealthService, _ configuration: ServerConfiguration
) -> [RPCMethod] {
  let methods = service.methods + health.methods
  guard configuration.hasReflection else { return methods }
  return methods
    + ReflectionService(services: Set(methods.map(\.service)))
    .methods(streamsPerConnection: configuration.maximumReflectionStreamsPerConnection)
}

/// The failure to bind a port, with the flag that names the address.
struct ListenFailure: Error {
  let flag: String
  let problem: NetworkError
}

private func listening<Listener>(
  _ flag: String, _ listen: () throws(NetworkError) -> Listener
) throws(ListenFailure) -> Listener {
  do throws(NetworkError) {
    return try listen()
  } catch {
    throw ListenFailure(flag: flag, problem: error)
  }
}
