// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import MongoSource

/// The flags by topic, from which the help text, the manual page and the completion scripts are made.
extension ServerConfiguration {
  static let flags = FlagParser<ServerConfiguration>(groups: [
    FlagGroup("Database", databaseFlags), FlagGroup("Network", networkFlags),
    FlagGroup("Security", securityFlags), FlagGroup("Freshness", freshnessFlags),
    FlagGroup("Lifetime of connections", lifetimeFlags), FlagGroup("Limits", limitFlags),
    FlagGroup("Logging", loggingFlags), FlagGroup("Information", informationFlags),
  ])

  private static let databaseFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "mongodb-uri", "MongoDB connection string of a replica set, which may have one member.",
      default: "mongodb://127.0.0.1:27017",
      .value(placeholder: "URI") { text, configuration in
        configuration.mongoDBURI = text
        do throws(MongoError) {
          _ = try MongoURI(text)
          return nil
        } catch {
          // The message does not quote the URI, which may contain a password.
          return "is not a MongoDB URI: \(error.message)"
        }
      }),
    Flag(
      "agent-configs", "Collection of the agent configs.", default: "ai_model.agent_configs",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.agentConfigs) }),
    Flag(
      "prompts", "Collection of the prompts.", default: "ai_model.prompts",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.prompts) }),
    Flag(
      "source-configs", "Collection of the source configs.", default: "collection_model.source_configs",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.sourceConfigs) }),
    Flag(
      "epoch-salt",
      "Text that is part of the epoch. Change it after a restore of the database's files: clients then discard their "
        + "revisions and resume positions, which are of the time before the restore.", default: "empty",
      .value(placeholder: "TEXT") { text, configuration in
        configuration.epochSalt = text
        return nil
      }),
  ]

  private static let networkFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "listen", "Address for lookups and watches over gRPC and framed protobuf. Port 0 selects a free port.",
      default: "127.0.0.1:50061", .value(placeholder: "HOST:PORT") { address($0, &$1.listen) }),
    Flag(
      "http-listen", "Address for health and metrics over HTTP. Port 0 selects a free port.",
      default: "127.0.0.1:9464", .value(placeholder: "HOST:PORT") { address($0, &$1.httpListen) }),
    Flag(
      "http-allowed-hosts",
      "Additional names and addresses that HTTP requests may have in the Host header, separated by commas, each with "
        + "or without a port. Always allowed are localhost, the name of --http-listen, loopback addresses and the "
        + "address that the client connected to.", default: "none",
      .value(placeholder: "NAME,...") { allowedHosts($0, &$1.httpAllowedHosts) }),
    Flag(
      "reflection", "Serve gRPC server reflection, which tools such as grpcurl use.", default: "true",
      .toggle { $1.hasReflection = $0 }),
    Flag(
      "threads", "Number of event loops that serve connections, each on a thread of its own.", default: "one per core",
      .value(placeholder: "N") { text, configuration in
        guard let number = Int(text), (1...1024).contains(number) else {
          return "\(text) is not a whole number from 1 to 1024"
        }
        configuration.threads = number
        return nil
      }),
  ]

  private static let freshnessFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "ttl-seconds",
      "Time in seconds since the contents of a cache were last verified after which its answers are marked stale. The "
        + "collections are also reloaded at this interval.", default: "300",
      .value(placeholder: "SECONDS") { readSeconds($0, 1...86_400, &$1.ttl) }),
    Flag(
      "max-staleness-seconds",
      "Time in seconds since the contents of a cache were last verified after which they are no longer served.",
      default: "no limit",
      .value(placeholder: "SECONDS") { text, configuration in
        var value = Duration.zero
        let problem = readSeconds(text, 1...31_536_000, &value)
        if problem == nil { configuration.maximumStaleness = value }
        return problem
      }),
    Flag(
      "max-majority-lag-seconds",
      "Time in seconds by which the position of a change stream may be behind the time of the database. Above it the "
        + "answers of the cache are marked stale, because the database member has lost contact with the majority of "
        + "its replica set, or is catching up. MongoDB advances an idle position every 10 s. 0 means no limit.",
      default: "30", .value(placeholder: "SECONDS") { readSeconds($0, 0...86_400, &$1.maximumMajorityLag) }),
  ]

  private static let loggingFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "log-level", "Lowest level of log lines that are written to standard error.", default: "info",
      .choice(placeholder: "LEVEL", Logger.Level.allCases.map(\.name)) { text, configuration in
        configuration.logLevel = Logger.Level.allCases.first { $0.name == text } ?? .info
      }),
    Flag(
      "log-format", "Format of log lines: a JSON object per line, or text for people.",
      default: "text on a terminal, otherwise json",
      .choice(placeholder: "FORMAT", ["json", "text"]) { $1.logFormat = Logger.Format(rawValue: $0) }),
  ]

  private static let informationFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "check-config", "Print the effective configuration and exit.", hasVariable: false,
      .toggle { if $0 { $1.action = .checkConfig } }),
    Flag(
      "completion", "Print a completion script for this shell and exit.", hasVariable: false,
      .choice(placeholder: "SHELL", CompletionShell.allCases.map(\.rawValue)) { text, configuration in
        if let shell = CompletionShell(rawValue: text) { configuration.action = .completion(shell) }
      }),
    Flag(
      "man", "Print the manual page in troff and exit.", hasVariable: false,
      .toggle { if $0 { $1.action = .manual } }),
    Flag("version", "Print the version and exit.", hasVariable: false, .toggle { if $0 { $1.action = .version } }),
    Flag("help", "Print this help and exit.", hasVariable: false, .toggle { if $0 { $1.action = .help } }),
  ]
}

// Each of these functions reads a value and returns what is wrong with it, or nil.

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

private func allowedHosts(_ text: String, _ hosts: inout [HTTPRequestGuard.AllowedHost]) -> String? {
  hosts = []
  for item in text.split(separator: ",", omittingEmptySubsequences: false) {
    let name = item.trimmingPrefix(" ")
    guard let host = HTTPRequestGuard.AllowedHost(name) else {
      return "\"\(name)\" is not a host name or address, with or without a port; write for example config-lookup:9464"
    }
    hosts.append(host)
  }
  return nil
}
