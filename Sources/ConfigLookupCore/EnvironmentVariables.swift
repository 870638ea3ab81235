// SPDX-License-Identifier: Apache-2.0
/// The environment variables of this project: `CONFIG_LOOKUP_` and a name.
public enum EnvironmentVariables {
  /// The prefix of every variable of this project.
  public static let prefix = "CONFIG_LOOKUP_"

  /// The variables that the command-line tool and the scripts read and the server does not.
  public static let ofToolAndScripts: Set<String> = [
    "CONFIG_LOOKUP_CLIENT_TLS_CERTIFICATE", "CONFIG_LOOKUP_CLIENT_TLS_KEY", "CONFIG_LOOKUP_COLOR",
    "CONFIG_LOOKUP_GRPC", "CONFIG_LOOKUP_HTTP_SERVER", "CONFIG_LOOKUP_IMAGES", "CONFIG_LOOKUP_JSON",
    "CONFIG_LOOKUP_OUTPUT", "CONFIG_LOOKUP_SEED", "CONFIG_LOOKUP_SERVER", "CONFIG_LOOKUP_TIMEOUT_SECONDS",
    "CONFIG_LOOKUP_TLS", "CONFIG_LOOKUP_TLS_CA", "CONFIG_LOOKUP_TLS_SERVER_NAME", "CONFIG_LOOKUP_TOKEN",
    "CONFIG_LOOKUP_TOKEN_FILE", "CONFIG_LOOKUP_VENV",
  ]

  /// The variables that the server reads. The tool does not warn about them: in a container both see one environment.
  public static let ofServer: Set<String> = Set(
    [
      "AGENT_CONFIGS", "ALLOW_CORE_DUMPS", "ALLOW_INSECURE", "CREDENTIALS", "DRAIN_SECONDS", "EPOCH_SALT",
      "HANDSHAKE_SECONDS", "HTTP_ALLOWED_HOSTS", "HTTP_FIRST_REQUEST_SECONDS", "HTTP_LISTEN", "HTTP_PLAIN", "LISTEN",
      "LOG_FORMAT", "LOG_LEVEL", "MAX_BUFFERED_BYTES", "MAX_CALLS_PER_CONNECTION", "MAX_CONNECTIONS",
      "MAX_CONNECTIONS_PER_ADDRESS", "MAX_CONNECTION_AGE_SECONDS", "MAX_CONNECTION_IDLE_SECONDS",
      "MAX_HEALTH_WATCHES", "MAX_HEALTH_WATCHES_PER_CONNECTION", "MAX_HTTP_CONNECTIONS",
      "MAX_HTTP_CONNECTIONS_PER_ADDRESS", "MAX_MAJORITY_LAG_SECONDS", "MAX_QUEUED_KEYS",
      "MAX_REFLECTION_STREAMS_PER_CONNECTION",
      "MAX_REQUEST_BYTES", "MAX_STALENESS_SECONDS", "MAX_SUBSCRIBERS", "MAX_WAITING_CALLS",
      "MIN_PROGRESS_INTERVAL_MS", "MONGODB_URI", "PROMPTS", "REFLECTION", "SILENCE_SECONDS", "SOURCE_CONFIGS",
      "THREADS", "TLS_CERTIFICATE", "TLS_CLIENT_CA", "TLS_KEY", "TTL_SECONDS",
    ].map { prefix + $0 })

  /// Whether Kubernetes sets the variable for a Service that is called `config-lookup` or `config-lookup-…`.
  ///
  /// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
  fileprivate static func isServiceLink(_ name: String) -> Bool {
    if name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.hasSuffix("_PORT") { return true }
    return name.hasPrefix(prefix)
      && ["_TCP", "_UDP"].contains { protocolName in
        ["", "_PROTO", "_PORT", "_ADDR"].contains { name.hasSuffix(protocolName + $0) } && name.contains("PORT_")
      }
  }
}

extension FlagParser {
  /// Finds the variables that have the prefix of this project and that no program reads. Most likely they are misspelt,
  /// and the settings that they were meant for have their defaults.
  ///
  /// - Parameters:
  ///   - environment: The environment variables. Their values are not printed: they may be secrets.
  ///   - others: The variables that other programs read.
  /// - Returns: A warning for each variable, by name and in the order of the names, with a suggestion where a known
  ///   variable is similar.
  public func unknownVariables(in environment: [String: String], others: Set<String>) -> [String] {
    let prefix = EnvironmentVariables.prefix
    let own = Set(flags.compactMap(\.environmentVariable))
    // The prefix, which all of them have, would make unrelated names look similar.
    func nearest(_ name: String, among candidates: Set<String>) -> String? {
      nearestName(
        to: String(name.dropFirst(prefix.count)), among: candidates.sorted().map { String($0.dropFirst(prefix.count)) }
      )
      .map { prefix + $0 }
    }
    return environment.keys.sorted().compactMap { name in
      guard name.uppercased().hasPrefix(prefix), !own.contains(name), !others.contains(name),
        !EnvironmentVariables.isServiceLink(name)
      else { return nil }
      let flag = name.dropFirst(prefix.count).lowercased().split(separator: "_").joined(separator: "-")
      if flags.contains(where: { $0.name == flag && $0.environmentVariable == nil }) {
        return "\(name): --\(flag) has no environment variable; the variable is ignored"
      }
      let near = nearest(name, among: own) ?? nearest(name, among: others)
      return "\(name): unknown variable, ignored\(near.map { ": did you mean \($0)?" } ?? "")"
    }
  }
}
