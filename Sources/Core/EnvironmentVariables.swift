/// The environment variables of this project: `CONFIG_LOOKUP_` and a name.
public enum EnvironmentVariables {
  /// What every variable of this project begins with.
  public static let prefix = "CONFIG_LOOKUP_"

  /// Those that the command-line tool and the scripts read, and the server does not.
  public static let ofToolAndScripts: Set<String> = [
    "CONFIG_LOOKUP_CLIENT_TLS_CERTIFICATE", "CONFIG_LOOKUP_CLIENT_TLS_KEY", "CONFIG_LOOKUP_GRPC",
    "CONFIG_LOOKUP_HTTP_SERVER", "CONFIG_LOOKUP_IMAGES", "CONFIG_LOOKUP_JSON", "CONFIG_LOOKUP_SEED",
    "CONFIG_LOOKUP_SERVER",
    "CONFIG_LOOKUP_TIMEOUT_SECONDS", "CONFIG_LOOKUP_TLS", "CONFIG_LOOKUP_TLS_CA", "CONFIG_LOOKUP_TLS_SERVER_NAME",
    "CONFIG_LOOKUP_TOKEN", "CONFIG_LOOKUP_TOKEN_FILE", "CONFIG_LOOKUP_VENV",
  ]

  /// Whether Kubernetes sets it for a Service that is called `config-lookup` or `config-lookup-…`.
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
  /// A warning for each variable that looks like one of this project and that nothing reads: most likely it is
  /// misspelt, and what it was to set has its default.
  ///
  /// - Parameter others: The variables that other programs read.
  public func unknownVariables(in environment: [String: String], others: Set<String>) -> [String] {
    let prefix = EnvironmentVariables.prefix
    let known = Set(flags.compactMap(\.environmentVariable))
    return environment.keys.sorted().compactMap { name in
      guard name.uppercased().hasPrefix(prefix), !known.contains(name), !others.contains(name),
        !EnvironmentVariables.isServiceLink(name)
      else { return nil }
      let flag = name.dropFirst(prefix.count).lowercased().split(separator: "_").joined(separator: "-")
      if flags.contains(where: { $0.name == flag && $0.environmentVariable == nil }) {
        return "\(name): --\(flag) is for the command line only; the variable is ignored"
      }
      let near = nearestName(to: name, among: known.sorted()).map { " (did you mean \($0)?)" } ?? ""
      return "\(name): no such variable; it is ignored\(near)"
    }
  }
}
