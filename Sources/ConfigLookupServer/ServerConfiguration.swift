// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupTelemetry
internal import MongoSource

/// The configuration of the server, made from flags and environment variables only. The flags' help texts
/// describe the fields.
public struct ServerConfiguration: Sendable {
  /// What the process does.
  public enum Action: Sendable, Hashable {
    /// Serve; print the help; print the version; print the effective configuration; print the manual page.
    case run, help, version, checkConfig, manual
    /// Print the completion script of a shell.
    case completion(CompletionShell)
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
  public var ttl = Duration.seconds(300)
  /// The time after which unverified contents are no longer served. Nil for no limit.
  public var maximumStaleness: Duration?
  /// The time by which the position of a stream may be behind the time of the database. Zero for no limit.
  public var maximumMajorityLag = Duration.seconds(30)
  /// The maximum duration of the drain after SIGTERM.
  public var drainTimeout = Duration.seconds(20)
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
  /// The minimum interval between two PROGRESS notices of a watch.
  public var minimumProgressInterval = Duration.seconds(1)
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
  /// The maximum time from the accepting of an HTTP connection to its first complete request.
  public var httpFirstRequestTimeout = Duration.seconds(5)
  /// The maximum duration of a TLS handshake.
  public var handshakeTimeout = Duration.seconds(10)
  /// The time within which a new connection must send its first bytes.
  public var firstByteTimeout = Duration.seconds(30)
  /// The time after which a connection without a call is drained. Zero for no limit.
  public var maximumConnectionIdleTime = Duration.seconds(600)
  /// The time after which a connection is drained. Zero for no limit.
  public var maximumConnectionAge = Duration.zero
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
  public var fileCheckInterval = Duration.seconds(2)
  /// The maximum time that the start waits for the replay history. Without it, watches that start in the past get a
  /// RESYNC.
  package var historyTimeout = Duration.seconds(5)
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
    if let first = rest.first { throw UsageError("unexpected argument \"\(first)\"; --help lists the flags") }
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
}
