public import Core
internal import MongoSource
public import Network
public import OpenTelemetry

/// What the server runs with: made of flags and environment, and of nothing else.
public struct ServerConfiguration: Sendable {
  /// What the process does: serve, or print something and exit.
  public enum Action: Sendable, Hashable {
    case run, help, version, checkConfig, manual
    case completion(CompletionShell)
  }

  public var action = Action.run
  public var mongoDBURI = "mongodb://127.0.0.1:27017"
  public var listen = HostAndPort(host: "127.0.0.1", port: 50061)
  public var httpListen = HostAndPort(host: "127.0.0.1", port: 9464)
  /// What HTTP requests may name in `Host` beside the addresses of the port.
  public var httpAllowedHosts: [HTTPRequestGuard.AllowedHost] = []
  public var agentConfigs = "ai_model.agent_configs"
  public var prompts = "ai_model.prompts"
  public var sourceConfigs = "collection_model.source_configs"
  /// Nil: one per core.
  public var threads: Int?
  public var ttlSeconds = 300.0
  /// Nil: no limit.
  public var maximumStalenessSeconds: Double?
  public var drainSeconds = 20.0
  public var maximumConnections = 10_000
  /// A quarter: whatever one machine does, there is room for the others.
  public var maximumConnectionsPerAddress = 2500
  public var maximumCallsPerConnection = 1024
  public var maximumRequestBytes = 65_536
  public var maximumSubscribers = 10_000
  /// So many changed keys wait for a slow subscriber; past that it gets one RESYNC.
  public var maximumQueuedKeys = 10_000
  /// Lookups that wait for their `min_revision` at once.
  public var maximumWaitingCalls = 10_000
  /// A watch gets a PROGRESS no more often than this.
  public var minimumProgressMilliseconds = 1000
  /// Of what waits for slow callers, all together.
  public var maximumBufferedBytes = 1 << 30
  /// Watches of health: one for each connection, as clients' libraries have them.
  public var maximumHealthWatches = 10_000
  public var maximumHealthWatchesPerConnection = 16
  public var maximumReflectionStreamsPerConnection = 4
  public var maximumHTTPConnections = 128
  /// Half: whatever one machine does, there is room for the others.
  public var maximumHTTPConnectionsPerAddress = 64
  /// From accepting an HTTP connection to its first whole request, in seconds.
  public var httpFirstRequestSeconds = 5.0
  public var handshakeSeconds = 10.0
  /// In which a connection must have said something.
  public var silenceSeconds = 30.0
  /// 0: for ever.
  public var maximumConnectionIdleSeconds = 600.0
  /// 0: for ever.
  public var maximumConnectionAgeSeconds = 0.0
  public var tlsCertificate: String?
  public var tlsKey: String?
  public var tlsClientCA: String?
  public var isHTTPPlain = false
  /// Nil: everybody may do everything.
  public var credentialsFile: String?
  public var allowsInsecure = false
  /// gRPC clients without stubs may ask what can be called.
  public var hasReflection = true
  /// Files are looked at so often for a change. No flag: tests make it small.
  public var fileCheckSeconds = 2.0
  /// How long the server waits for the past before it is ready without; then watches that start in it get a RESYNC.
  package var historyPatienceSeconds = 5.0
  /// Whether a crash may write the process's memory to a file.
  public var allowsCoreDumps = false
  public var epochSalt = ""
  public var logLevel = Logger.Level.info
  public var logFormat: Logger.Format?
  /// Nil: metrics are not sent anywhere.
  public var otlp: OTLPSettings?
  /// What of the environment is ignored, a sentence each.
  public var warnings: [String] = []

  public init() {}

  /// Reads arguments (without the program's name) and environment. Throws what is wrong, by name.
  public init(arguments: [String], environment: [String: String]) throws(UsageError) {
    let rest = try Self.flags.parse(arguments, environment: environment, into: &self)
    if let first = rest.first { throw UsageError("unexpected argument \"\(first)\"; --help lists the flags") }
    guard action == .run || action == .checkConfig else { return }
    try checkSecurity()
    warnings = Self.flags.unknownVariables(in: environment, others: EnvironmentVariables.ofToolAndScripts)
    otlp = try OTLPSettings(environment: environment, serviceName: "config-lookup", warnings: &warnings)
  }

  /// Reads the connection string, and every file that it names.
  ///
  /// - Throws: What is wrong, by flag and by option.
  func checkedMongoDBURI() throws(UsageError) -> MongoURI {
    do throws(MongoError) {
      let uri = try MongoURI(mongoDBURI)
      try uri.checkFiles()
      return uri
    } catch {
      throw UsageError("--mongodb-uri: \(error.message)")
    }
  }
}
