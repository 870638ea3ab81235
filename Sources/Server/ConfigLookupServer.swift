internal import ChangeStreamCache
public import Core
internal import Credentials
internal import FramedTransport
internal import GRPCServices
internal import GRPCTransport
internal import LookupService
public import Network
internal import OpenTelemetry
internal import RPC

/// Everything that the server is made of, wired: caches on MongoDB, the service over them, the transports in front.
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
  /// Nil: metrics are not sent anywhere.
  private let exporter: OTLPExporter?

  /// Binds the ports and starts to read the collections. Calls get UNAVAILABLE until ``isWarm``.
  public init(_ configuration: ServerConfiguration, logger: Logger) throws {
    for warning in configuration.warnings { logger.warning("configuration_warning", warning) }
    caches = try Caches(configuration, logger: logger)
    let (served, hub) = (caches.served, caches.hub)
    readiness = Readiness(caches: served, maximumStalenessSeconds: configuration.maximumStalenessSeconds)
    let tls = try ServerTLS(configuration)
    tls.logWarnings(logger)
    for warning in configuration.permissionWarnings { logger.warning("file_permissions", warning) }
    let credentialsFile = configuration.credentialsFile.map { WatchedFiles([$0]) }
    let credentials = try configuration.credentials(logger)
    let report = LimitReport(logger)
    let operations = Operations(readiness, access: credentials, wantsCertificate: configuration.tlsClientCA != nil)
    // First, and last to go: somebody may ask how it is doing at any time.
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
        maximumAgeSeconds: configuration.maximumConnectionAgeSeconds, logger: logger)
      let endpoint = ProtocolSniffer(
        framed: framed, http2: grpc, group: group, silenceSeconds: configuration.silenceSeconds)
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
    files = FileWatcher(watched, everySeconds: configuration.fileCheckSeconds, logger: logger)
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

  /// Reads the files again that the configuration names, soon. What is wrong is logged, and changes nothing.
  public func reloadFiles() {
    files.reloadAll()
  }

  /// Runs `body` once every loop has come round to it: that none hangs.
  func whenAllLoopsTurn(_ body: @escaping @Sendable () -> Void) {
    group.whenAllTurn(body)
  }

  /// Where lookups and watches are served, with the port that was taken.
  public var address: HostAndPort { transport.address.hostAndPort }

  /// Where health is served over HTTP, with the port that was taken.
  public var httpAddress: HostAndPort { http.address.hostAndPort }

  /// Whether every cache has been loaded.
  public var isWarm: Bool { service.isWarm }

  /// Not ready any more, no new calls; open ones finish, watches end in good order. False if some were still open at
  /// the deadline.
  public func drain(deadline: MonotonicTime) -> Bool {
    readiness.startDraining()
    health.refresh()
    transport.drain()
    return transport.waitUntilDrained(deadline: deadline)
  }

  /// Ends everything, in the opposite order of its start, and waits: as long as the database's time limits if it does
  /// not answer.
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

/// To have the credentials read again when their file changes.
private func fileGroup(
  _ credentials: Credentials, _ file: WatchedFiles, _ service: LookupService
) -> FileWatcher.Group {
  FileWatcher.Group(name: "credentials", files: file) {
    try credentials.reload()
    service.credentialsChanged()
  }
}

/// The methods that gRPC clients can call: those of the service, and what they expect of any service.
func grpcMethods(
  _ service: LookupService, _ health: HealthService, _ configuration: ServerConfiguration
) -> [RPCMethod] {
  let methods = service.methods + health.methods
  guard configuration.hasReflection else { return methods }
  return methods
    + ReflectionService(services: Set(methods.map(\.service)))
    .methods(streamsPerConnection: configuration.maximumReflectionStreamsPerConnection)
}

/// What kept the server from listening, with the flag that says where.
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
