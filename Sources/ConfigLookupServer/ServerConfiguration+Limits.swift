// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import FramedTransport
internal import GRPCServices
internal import GRPCTransport
internal import LookupService

/// The limits on the resources of one client and of all clients together.
extension ServerConfiguration {
  static let limitFlags: [Flag<ServerConfiguration>] = [
    count(
      "max-connections", "Maximum number of open connections. Further ones are closed at once.", \.maximumConnections,
      1...1_000_000),
    count(
      "max-connections-per-address",
      "Maximum number of open connections from one address (for IPv6: from one /64). Further ones are closed at once.",
      \.maximumConnectionsPerAddress, 1...1_000_000),
    count(
      "max-calls-per-connection",
      "Maximum number of open calls on a connection, including watches. Further ones are rejected.",
      \.maximumCallsPerConnection, 1...100_000),
    count(
      "max-request-bytes", "Maximum size of a request in bytes. Clients rely on the default.", \.maximumRequestBytes,
      1024...1_048_576, placeholder: "BYTES"),
    count(
      "max-subscribers", "Maximum number of open watches on all connections. Further ones are rejected.",
      \.maximumSubscribers, 1...1_000_000),
    count(
      "max-queued-keys",
      "Maximum number of changed keys that are queued for a slow watch. Above it, the watch gets one "
        + "RESYNC for all keys.",
      \.maximumQueuedKeys, 1...10_000_000),
    count(
      "max-waiting-calls",
      "Maximum number of lookups that wait for their min_revision at the same time. Further ones are rejected.",
      \.maximumWaitingCalls, 1...1_000_000),
    Flag(
      "min-progress-interval-ms",
      "Minimum interval between two PROGRESS notices of a watch, in milliseconds. A shorter interval in a request is "
        + "raised to it.", default: "\(ServerConfiguration().minimumProgressInterval.milliseconds)",
      .value(placeholder: "MS") { text, configuration in
        var milliseconds = 0
        let problem = whole(text, 10...3_600_000, &milliseconds)
        if problem == nil { configuration.minimumProgressInterval = .milliseconds(milliseconds) }
        return problem
      }),
    count(
      "max-buffered-bytes",
      "Maximum number of bytes buffered for all clients. Above it, the clients with the largest buffers "
        + "are disconnected.",
      \.maximumBufferedBytes, 1_048_576...(1 << 50), placeholder: "BYTES"),
    count(
      "max-health-watches",
      "Maximum number of open grpc.health.v1.Health/Watch calls on all connections. Further ones are rejected.",
      \.maximumHealthWatches, 1...1_000_000),
    count(
      "max-health-watches-per-connection",
      "Maximum number of open grpc.health.v1.Health/Watch calls on one connection. Further ones are rejected.",
      \.maximumHealthWatchesPerConnection, 1...100_000),
    count(
      "max-reflection-streams-per-connection",
      "Maximum number of open reflection streams on one connection. Further ones are rejected.",
      \.maximumReflectionStreamsPerConnection, 1...100_000),
    count(
      "max-http-connections",
      "Maximum number of connections to the HTTP port. Above it, one that sent no request or is idle is closed.",
      \.maximumHTTPConnections, 1...100_000),
    count(
      "max-http-connections-per-address",
      "Maximum number of connections to the HTTP port from one address (for IPv6: from one /64). Above it, one of them "
        + "that sent no request or is idle is closed.",
      \.maximumHTTPConnectionsPerAddress, 1...100_000),
  ]

  /// The flags that bound the life of a connection.
  static let lifetimeFlags: [Flag<ServerConfiguration>] = [
    time(
      "drain-seconds", "Maximum time in seconds from SIGTERM to the end of open calls.", \.drainTimeout, 0...3600),
    time(
      "max-connection-age-seconds",
      "Drain connections at this age in seconds, varied by up to 10 percent. 0 disables the limit.",
      \.maximumConnectionAge, 0...31_536_000),
    time(
      "max-connection-idle-seconds",
      "Drain connections that have no open call for this time in seconds. 0 disables the limit.",
      \.maximumConnectionIdleTime, 0...31_536_000),
    time(
      "handshake-seconds", "Maximum duration of a TLS handshake in seconds.", \.handshakeTimeout, 0.1...3600),
    time(
      "silence-seconds", "Close connections that send no bytes within this time in seconds.", \.firstByteTimeout,
      0.1...3600),
    time(
      "http-first-request-seconds",
      "Close connections to the HTTP port that send no complete request within this time in seconds.",
      \.httpFirstRequestTimeout, 0.1...3600),
  ]

  /// The limits of the service.
  var serviceOptions: LookupService.Options {
    var options = LookupService.Options()
    options.maximumStaleness = maximumStaleness
    options.maximumQueuedKeys = maximumQueuedKeys
    options.maximumSubscribers = maximumSubscribers
    options.maximumWaitingCalls = maximumWaitingCalls
    options.minimumProgressInterval = minimumProgressInterval
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
    limits.idleTimeout = maximumConnectionIdleTime
    limits.maximumAge = maximumConnectionAge
    return limits
  }

  /// The limits of gRPC connections.
  var gRPCLimits: GRPCLimits {
    var limits = GRPCLimits()
    limits.requestBytes = maximumRequestBytes
    limits.openStreams = maximumCallsPerConnection
    limits.idleTimeout = maximumConnectionIdleTime
    return limits
  }

  /// The limits of all connections.
  var connections: ConnectionServer.Configuration {
    var connections = ConnectionServer.Configuration(listen: listen)
    connections.maximumConnections = maximumConnections
    connections.maximumConnectionsPerAddress = maximumConnectionsPerAddress
    connections.limits.handshakeTimeout = handshakeTimeout
    return connections
  }

  /// The limits of the HTTP port.
  var httpLimits: OperationsLimits {
    var limits = OperationsLimits()
    limits.connections = maximumHTTPConnections
    limits.connectionsPerAddress = maximumHTTPConnectionsPerAddress
    limits.firstRequestTimeout = httpFirstRequestTimeout
    return limits
  }

  private static func count(
    _ name: String, _ help: String, _ place: any WritableKeyPath<ServerConfiguration, Int> & Sendable,
    _ range: ClosedRange<Int>, placeholder: String = "N"
  ) -> Flag<ServerConfiguration> {
    let usual = ServerConfiguration()[keyPath: place]
    return Flag(
      name, help, default: "\(usual)",
      .value(placeholder: placeholder) { whole($0, range, &$1[keyPath: place]) })
  }

  private static func whole(_ text: String, _ range: ClosedRange<Int>, _ value: inout Int) -> String? {
    guard let number = Int(text), range.contains(number) else {
      return "\(text) is not a whole number from \(range.lowerBound) to \(range.upperBound)"
    }
    value = number
    return nil
  }

  private static func time(
    _ name: String, _ help: String, _ place: any WritableKeyPath<ServerConfiguration, Duration> & Sendable,
    _ range: ClosedRange<Double>
  ) -> Flag<ServerConfiguration> {
    let usual = ServerConfiguration()[keyPath: place]
    return Flag(
      name, help, default: "\(usual.components.seconds)",
      .value(placeholder: "SECONDS") { readSeconds($0, range, &$1[keyPath: place]) })
  }
}
