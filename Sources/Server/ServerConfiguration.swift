public import Core
internal import MongoSource
public import Network
public import OpenTelemetry

/// The configuration of the server, made from flags and environment variables only. Times are in seconds unless their
/// names give another unit. The flags' help texts describe the fields.
public struct ServerConfiguration: Sendable {
  /// The action of the program.
  public enum Action: Sendable, Hashable {
    /// Serve; print the help; print the version; print the effective configuration.
    case run, help, version, checkConfig
  }

  /// The action of the program.
  public var action = Action.run
  /// The connection string of MongoDB (`--mongodb-uri`).
  public var mongoDBURI = "mongodb://127.0.0.1:27017"
  /// The address of lookups and watches (`--listen`).
  public var listen = HostAndPort(host: "127.0.0.1", port: 50061)
  /// The address of HTTP (`--http-listen`).
  public var httpListen = HostAndPort(host: "127.0.0.1", port: 9464)
  /// The values of `Host` that HTTP requests may have in addition to the addresses of the port.
  public var httpAllowedHosts: [HTTPRequestGuard.AllowedHost] = []
  /// The collection of agent configs, as `DATABASE.COLLECTION`.
  public var agentConfigs = "ai_model.agent_configs"
  /// The collection of prompts, as `DATABASE.COLLECTION`.
  public var prompts = "ai_model.prompts"
  /// The collection of source configs, as `DATABASE.COLLECTION`.
  public var sourceConfigs = "collection_model.source_configs"
  /// The number of event loops. Nil for one per core.
  public var threads: Int?
  /// The time after which unverified contents are stale, and the interval of reloads.
  public var ttlSeconds = 300.0
  /// The time after which unverified contents are no longer served. Nil for no limit.
  public var maximumStalenessSeconds: Double?
  /// The maximum duration of the drain after SIGTERM.
  public var drainSeconds = 20.0
  /// The maximum number of open connections.
  public var maximumConnections = 10_000
  /// The maximum number of open connections from one address. A quarter of the maximum, so that one machine cannot take
  /// the connections of all others.
  public var maximumConnectionsPerAddress = 2500
  /// The maximum number of open calls on a connection.
  public var maximumCallsPerConnection = 1024
  /// The maximum size of a request, in bytes.
  public var maximumRequestBytes = 65_536
  /// The maximum number of open watches.
  public var maximumSubscribers = 10_000
  /// The maximum number of changed keys in the queue of a slow subscriber. Above it, one RESYNC replaces them.
  public var maximumQueuedKeys = 10_000
  /// The maximum number of lookups that wait for their `min_revision`.
  public var maximumWaitingCalls = 10_000
  /// The minimum interval between two PROGRESS notices of a watch, in milliseconds.
  public var minimumProgressMilliseconds = 1000
  /// The maximum number of bytes buffered for all clients together.
  public var maximumBufferedBytes = 1 << 30
  /// The maximum number of open health watches. The client libraries open one for each connection.
  public var maximumHealthWatches = 10_000
  /// The maximum number of open health watches on a connection.
  public var maximumHealthWatchesPerConnection = 16
  /// The maximum number of open reflection streams on a connection.
  public var maximumReflectionStreamsPerConnection = 4
  /// The maximum number of open HTTP connections.
  public var maximumHTTPConnections = 128
  /// The maximum number of open HTTP connections from one address. Half of the maximum, so that one machine cannot take
  /// the connections of all others.
  public var maximumHTTPConnectionsPerAddress = 64
  /// The maximum time from the accepting of an HTTP connection to its first complete request, in seconds.
  public var httpFirstRequestSeconds = 5.0
  /// The maximum duration of a TLS handshake.
  public var handshakeSeconds = 10.0
  /// The time within which a new connection must send its first bytes.
  public var silenceSeconds = 30.0
  /// The time after which a connection without a call is drained. 0 for no limit.
  public var maximumConnectionIdleSeconds = 600.0
  /// The time after which a connection is drained. 0 for no limit.
  public var maximumConnectionAgeSeconds = 0.0
  /// The file of the certificate chain (PEM). Nil for cleartext.
  public var tlsCertificate: String?
  /// The file of the certificate's private key (PEM).
  public var tlsKey: String?
  /// The file of the CAs that sign client certificates (PEM). Nil to require none.
  public var tlsClientCA: String?
  /// Whether HTTP is served in cleartext although a certificate is configured.
  public var isHTTPPlain = false
  /// The file of the credentials. Nil to permit every caller every call.
  public var credentialsFile: String?
  /// Whether the server may listen off loopback without TLS or credentials.
  public var allowsInsecure = false
  /// Whether gRPC reflection is served, which clients without stubs use to discover the methods.
  public var hasReflection = true
  /// The interval at which files are checked for changes. There is no flag for it; tests make it short.
  public var fileCheckSeconds = 2.0
  /// The maximum time that the start waits for the replay history. Without it, watches that start in the past get a
  /// RESYNC.
  package var historyPatienceSeconds = 5.0
  /// Whether a crash may write a core dump.
  public var allowsCoreDumps = false
  /// The salt of the epoch, which the operator changes after a restore of the database's files.
  public var epochSalt = ""
  /// The lowest level that is logged.
  public var logLevel = Logger.Level.info
  /// The format of log lines. Nil for text on a terminal, JSON otherwise.
  public var logFormat: Logger.Format?
  /// The settings for sending metrics by OTLP. Nil to send none.
  public var otlp: OTLPSettings?
  /// Warnings about ignored environment variables, a sentence each.
  public var warnings: [String] = []

  /// Makes the default configuration.
  public init() {}

  /// Reads flags and environment variables.
  ///
  /// - Parameters:
  ///   - arguments: the command line without the program's name.
  ///   - environment: the environment variables.
  /// - Throws: ``UsageError`` that names the flag or variable at fault.
  public init(arguments: [String], environment: [String: String]) throws(UsageError) {
    let rest = try Self.flags.parse(arguments, environment: environment, into: &self)
    if let first = rest.first { throw UsageError("\(first): not a flag; --help lists them") }
    guard action == .run || action == .checkConfig else { return }
    try checkSecurity()
    warnings = Self.flags.unknownVariables(in: environment, others: EnvironmentVariables.ofToolAndScripts)
    otlp = try OTLPSettings(environment: environment, serviceName: "config-lookup", warnings: &warnings)
  }

  /// Reads the connection string and every file that it names.
  ///
  /// - Throws: the problem, with the flag and the option at fault.
  func checkedMongoDBURI() throws(UsageError) -> MongoURI {
    do throws(MongoError) {
      let uri = try MongoURI(mongoDBURI)
      try uri.checkFiles()
      return uri
    } catch {
      throw UsageError("--mongodb-uri: \(error.message)")
    }
  }

  /// The text of `--help`.
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
          // The URI itself may contain a password.
          return "is no MongoDB URI: \(error.message)"
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
          return "\(text) is none of debug, info, warning, error"
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
  guard let read = MongoNamespace(text) else { return "\(text) is not DATABASE.COLLECTION" }
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
