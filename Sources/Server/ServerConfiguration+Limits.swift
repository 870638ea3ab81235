internal import Core
internal import FramedTransport
internal import GRPCServices
internal import GRPCTransport
internal import LookupService
internal import Network

/// The limits on the resources of one client and of all clients together.
extension ServerConfiguration {
  static let limitFlags: [Flag<ServerConfiguration>] = [
    count(
      "max-connections", "Connections open at once; more are closed at once.", \.maximumConnections, 1...1_000_000),
    count(
      "max-connections-per-address", "The same of one address (of IPv6: of one /64).",
      \.maximumConnectionsPerAddress, 1...1_000_000),
    count(
      "max-calls-per-connection", "Calls open at once on a connection, watches among them.",
      \.maximumCallsPerConnection, 1...100_000),
    count(
      "max-request-bytes", "Bytes of a request; clients rely on the default.", \.maximumRequestBytes, 1024...1_048_576),
    count(
      "max-subscribers", "Watches open at once, on all connections.", \.maximumSubscribers, 1...1_000_000),
    count(
      "max-queued-keys", "Changed keys that wait for a slow watch; past that it gets one RESYNC for all.",
      \.maximumQueuedKeys, 1...10_000_000),
    count(
      "max-waiting-calls",
      "Maximum number of lookups that wait for their min_revision at once; more are rejected.",
      \.maximumWaitingCalls, 1...1_000_000),
    count(
      "min-progress-interval-ms",
      "Least number of milliseconds between two PROGRESS notices of a watch; a shorter interval is raised to it.",
      \.minimumProgressMilliseconds, 10...3_600_000),
    count(
      "max-buffered-bytes",
      "Maximum number of bytes that all clients together make the server hold. Above it, the largest are disconnected.",
      \.maximumBufferedBytes, 1_048_576...(1 << 50)),
    count(
      "max-health-watches", "Maximum number of grpc.health.v1.Health/Watch calls open on all connections.",
      \.maximumHealthWatches, 1...1_000_000),
    count(
      "max-health-watches-per-connection",
      "Maximum number of grpc.health.v1.Health/Watch calls open on one connection.",
      \.maximumHealthWatchesPerConnection, 1...100_000),
    count(
      "max-reflection-streams-per-connection", "Maximum number of reflection streams open on one connection.",
      \.maximumReflectionStreamsPerConnection, 1...100_000),
    count(
      "max-http-connections",
      "Maximum number of connections to the HTTP port. Above it, the one that is of the least use is closed.",
      \.maximumHTTPConnections, 1...100_000),
    count(
      "max-http-connections-per-address",
      "Maximum number of connections to the HTTP port from one address (of IPv6: from one /64).",
      \.maximumHTTPConnectionsPerAddress, 1...100_000),
    time(
      "http-first-request-seconds", "Close connections to the HTTP port that send no whole request within this time.",
      \.httpFirstRequestSeconds, 0.1...3600),
    time(
      "handshake-seconds", "How long a TLS handshake may take.", \.handshakeSeconds, 0.1...3600),
    time(
      "silence-seconds", "Connections that have said nothing for so long are closed.", \.silenceSeconds, 0.1...3600),
    time(
      "max-connection-idle-seconds", "Connections without a call for so long are drained; 0 for never.",
      \.maximumConnectionIdleSeconds, 0...31_536_000),
  ]

  /// The limits of the service.
  var serviceOptions: LookupService.Options {
    var options = LookupService.Options()
    options.maximumStalenessSeconds = maximumStalenessSeconds
    options.maximumQueuedKeys = maximumQueuedKeys
    options.maximumSubscribers = maximumSubscribers
    options.maximumWaitingCalls = maximumWaitingCalls
    options.minimumProgressInterval = .milliseconds(minimumProgressMilliseconds)
    return options
  }

  /// The limits of health watches.
  var healthWatchLimits: HealthService.WatchLimits {
    var limits = HealthService.WatchLimits()
    limits.count = maximumHealthWatches
    limits.perConnection = maximumHealthWatchesPerConnection
    return limits
  }

  /// The limits of connections of the framed protocol.
  var framedLimits: FramedLimits {
    var limits = FramedLimits()
    limits.frameBytes = maximumRequestBytes
    limits.openCalls = maximumCallsPerConnection
    limits.idleSeconds = maximumConnectionIdleSeconds
    limits.maximumAgeSeconds = maximumConnectionAgeSeconds
    return limits
  }

  /// The limits of gRPC connections.
  var gRPCLimits: GRPCLimits {
    var limits = GRPCLimits()
    limits.requestBytes = maximumRequestBytes
    limits.openStreams = maximumCallsPerConnection
    limits.idleSeconds = maximumConnectionIdleSeconds
    return limits
  }

  /// The limits of all connections.
  var connections: ConnectionServer.Configuration {
    var connections = ConnectionServer.Configuration(listen: listen)
    connections.maximumConnections = maximumConnections
    connections.maximumConnectionsPerAddress = maximumConnectionsPerAddress
    connections.limits.handshakeSeconds = handshakeSeconds
    return connections
  }

  /// The limits of the HTTP port.
  var httpLimits: OperationsLimits {
    var limits = OperationsLimits()
    limits.connections = maximumHTTPConnections
    limits.connectionsPerAddress = maximumHTTPConnectionsPerAddress
    limits.firstRequestTimeout = .seconds(httpFirstRequestSeconds)
    return limits
  }

  private static func count(
    _ name: String, _ help: String, _ place: any WritableKeyPath<ServerConfiguration, Int> & Sendable,
    _ range: ClosedRange<Int>
  ) -> Flag<ServerConfiguration> {
    let usual = ServerConfiguration()[keyPath: place]
    return Flag(
      name, help, default: "\(usual)",
      .value(placeholder: "N") { text, configuration in
        guard let number = Int(text), range.contains(number) else {
          return "\(text) is not a whole number from \(range.lowerBound) to \(range.upperBound)"
        }
        configuration[keyPath: place] = number
        return nil
      })
  }

  private static func time(
    _ name: String, _ help: String, _ place: any WritableKeyPath<ServerConfiguration, Double> & Sendable,
    _ range: ClosedRange<Double>
  ) -> Flag<ServerConfiguration> {
    let usual = ServerConfiguration()[keyPath: place]
    return Flag(
      name, help, default: "\(Int(usual))",
      .value(placeholder: "SECONDS") { seconds($0, range, &$1[keyPath: place]) })
  }
}
