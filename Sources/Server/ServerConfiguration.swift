public import Core
internal import MongoSource
public import Network
public import OpenTelemetry

/// What the server runs with: made of flags and environment, and of nothing else.
public struct ServerConfiguration: Sendable {
  public enum Action: Sendable, Hashable {
    case run, help, version, checkConfig
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
    if let first = rest.first { throw UsageError("\(first): not a flag; --help lists them") }
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

  /// What `--help` prints.
  public static var help: String {
    """
    config-lookup-server: answers from memory which config is in force for a key, and tells subscribers of changes.

    Reads three collections of MongoDB (a replica set: change streams need one) and serves them over gRPC and framed
    protobuf, on one port.
    Each flag has an environment variable; a flag wins. SIGHUP has files read again that flags name.

    \(flags.help)

    Metrics are at /metrics. They are sent by OTLP, too, where OTEL_EXPORTER_OTLP_ENDPOINT (http://HOST:4318) or
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is set; as OpenTelemetry has them, these are respected:
    OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_METRIC_EXPORT_INTERVAL, OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_PROTOCOL (http/protobuf), OTEL_METRICS_EXPORTER, OTEL_SDK_DISABLED.
    systemd is told of READY, STOPPING and its watchdog where NOTIFY_SOCKET is set (Type=notify).

    Exit status: 0 ended by a signal and drained; 64 a mistake in flags or environment; 69 cannot listen, or a limit
    of the system is too low.
    """
  }

  static let flags = FlagParser<ServerConfiguration>(flags: servingFlags + securityFlags + limitFlags + processFlags)

  private static let servingFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "mongodb-uri", "The MongoDB deployment, as a connection string.", default: "mongodb://127.0.0.1:27017",
      .value(placeholder: "URI") { text, configuration in
        configuration.mongoDBURI = text
        do throws(MongoError) {
          _ = try MongoURI(text)
          return nil
        } catch {
          // The URI itself may hold a password.
          return "is not a MongoDB URI: \(error.message)"
        }
      }),
    Flag(
      "listen", "Where to serve lookups and watches; port 0 takes a free one.", default: "127.0.0.1:50061",
      .value(placeholder: "HOST:PORT") { address($0, &$1.listen) }),
    Flag(
      "http-listen", "Where to serve health over HTTP; port 0 takes a free one.", default: "127.0.0.1:9464",
      .value(placeholder: "HOST:PORT") { address($0, &$1.httpListen) }),
    Flag(
      "agent-configs", "The collection of agent configs.", default: "ai_model.agent_configs",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.agentConfigs) }),
    Flag(
      "prompts", "The collection of prompts.", default: "ai_model.prompts",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.prompts) }),
    Flag(
      "source-configs", "The collection of source configs.", default: "collection_model.source_configs",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.sourceConfigs) }),
    Flag(
      "threads", "How many event loops serve connections.", default: "one per core",
      .value(placeholder: "N") { text, configuration in
        guard let number = Int(text), (1...1024).contains(number) else { return "\(text) is not from 1 to 1024" }
        configuration.threads = number
        return nil
      }),
    Flag(
      "ttl-seconds", "Contents not confirmed for so long are marked stale; as often the collections are read again.",
      default: "300", .value(placeholder: "SECONDS") { seconds($0, 1...86_400, &$1.ttlSeconds) }),
    Flag(
      "max-staleness-seconds", "Contents not confirmed for so long are not served any more.", default: "no limit",
      .value(placeholder: "SECONDS") { text, configuration in
        var value = 0.0
        let problem = seconds(text, 1...31_536_000, &value)
        if problem == nil { configuration.maximumStalenessSeconds = value }
        return problem
      }),
    Flag(
      "drain-seconds", "How long open calls may take after SIGTERM.", default: "20",
      .value(placeholder: "SECONDS") { seconds($0, 0...3600, &$1.drainSeconds) }),
    Flag(
      "max-connection-age-seconds", "Connections are drained after so long, give or take a tenth.",
      default: "0, for ever",
      .value(placeholder: "SECONDS") { seconds($0, 0...31_536_000, &$1.maximumConnectionAgeSeconds) }),
  ]

  private static let processFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "reflection", "Tell gRPC clients without stubs what can be called (grpcurl asks).", default: "true",
      .toggle { $1.hasReflection = $0 }),
    Flag(
      "allow-core-dumps", "Let a crash write a core dump, which holds tokens and keys of TLS.", default: "false",
      .toggle { $1.allowsCoreDumps = $0 }),
    Flag(
      "epoch-salt", "Change it after a restore of the database's files: clients then know that time went back.",
      default: "empty",
      .value(placeholder: "TEXT") { text, configuration in
        configuration.epochSalt = text
        return nil
      }),
    Flag(
      "log-level", "What to log at least: debug, info, warning or error.", default: "info",
      .value(placeholder: "LEVEL") { text, configuration in
        guard let level = Logger.Level.allCases.first(where: { $0.name == text.lowercased() }) else {
          return "\(text) is not one of debug, info, warning, error"
        }
        configuration.logLevel = level
        return nil
      }),
    Flag(
      "log-format", "One JSON object a line, or text for people.", default: "text on a terminal, else json",
      .value(placeholder: "json|text") { text, configuration in
        guard let format = Logger.Format(rawValue: text.lowercased()) else { return "\(text) is neither json nor text" }
        configuration.logFormat = format
        return nil
      }),
    Flag(
      "check-config", "Print the effective configuration and exit.", hasVariable: false,
      .toggle { if $0 { $1.action = .checkConfig } }),
    Flag("version", "Print the version and exit.", hasVariable: false, .toggle { if $0 { $1.action = .version } }),
    Flag("help", "Print this help and exit.", hasVariable: false, .toggle { if $0 { $1.action = .help } }),
  ]
}

private func address(_ text: String, _ address: inout HostAndPort) -> String? {
  do throws(NetworkError) {
    address = try HostAndPort(text)
    return nil
  } catch {
    return error.message
  }
}

private func namespace(_ text: String, _ namespace: inout String) -> String? {
  guard let read = MongoNamespace(text) else { return "\(text) does not have the form DATABASE.COLLECTION" }
  namespace = read.description
  return nil
}

func seconds(_ text: String, _ range: ClosedRange<Double>, _ seconds: inout Double) -> String? {
  guard let number = Double(text), range.contains(number) else {
    return "\(text) is not a number of seconds from \(Int(range.lowerBound)) to \(Int(range.upperBound))"
  }
  seconds = number
  return nil
}
