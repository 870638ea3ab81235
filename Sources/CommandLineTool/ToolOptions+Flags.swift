// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigModels
internal import MongoSource

extension ToolOptions {
  /// All flags of all commands.
  static let flags = FlagParser<ToolOptions>(groups: [
    connectionFlags, ToolTLS.flags, outputFlags, generalFlags, FlagGroup("Flags of get", getFlags + lookupFlags),
    FlagGroup("Flags of list", listFlags), FlagGroup("Flags of watch", watchFlags),
    FlagGroup("Flags of health", healthFlags), FlagGroup("Flags of seed", seedFlags),
    FlagGroup("Flags of bench", benchFlags),
  ])

  /// Variables that no flag of the tool reads and that are known all the same.
  static let otherVariables = EnvironmentVariables.ofServer.union(EnvironmentVariables.ofToolAndScripts)

  /// The flags of every command that calls the server.
  static let connectionFlags = FlagGroup<ToolOptions>(
    "Connection flags",
    [
      Flag(
        "server", "Address of the server.", default: "127.0.0.1:50061",
        .value(placeholder: "HOST:PORT") { text, options in address(text) { options.server = $0 } }),
      Flag("grpc", "Use gRPC instead of framed protobuf.", default: "false", .toggle { $1.isGRPC = $0 }),
      Flag(
        "timeout-seconds", "Maximum time to wait for a connection or a reply, in seconds.", default: "10",
        .value(placeholder: "SECONDS") { readSeconds($0, 0.001...86_400, &$1.timeout) }),
      .file(
        "token-file", "File with the bearer token. A pipe is accepted, too.",
        default: "CONFIG_LOOKUP_TOKEN, if it is set", \.tokenFile),
    ])

  /// The flags of every command that prints something other than help.
  static let outputFlags = FlagGroup<ToolOptions>(
    "Output flags",
    [
      Flag(
        "output", "Format of the output.", default: "text",
        .choice(placeholder: "FORMAT", OutputFormat.allCases.map(\.rawValue)) {
          $1.namedOutput = OutputFormat(rawValue: $0)
        }),
      Flag(
        "json", "Short form of --output json. Prints one object per line.", default: "false", .toggle { $1.json = $0 }),
      Flag(
        "color", "When to colour text output. The value auto means on a terminal, unless NO_COLOR is set.",
        default: "auto",
        .choice(placeholder: "WHEN", ColorMode.allCases.map(\.rawValue)) {
          $1.color = ColorMode(rawValue: $0) ?? .auto
        }),
    ])

  /// The flags of every command.
  static let generalFlags = FlagGroup<ToolOptions>(
    "General flags",
    [
      Flag("version", "Print the version and exit.", hasVariable: false, .toggle { $1.wantsVersion = $0 }),
      Flag(
        "help", "Print the usage of the command and exit.", hasVariable: false, .toggle { $1.wantsHelp = $0 }),
    ])

  /// The flag of all lookups.
  static let lookupFlags: [Flag<ToolOptions>] = [
    Flag(
      "if-none-match", "Etag of a known value. The reply contains no value where the etag is the same.",
      hasVariable: false, .verbatim(placeholder: "ETAG") { set(\.ifNoneMatch, $0, &$1) })
  ]

  /// The flags of `get`.
  static let getFlags: [Flag<ToolOptions>] = [
    Flag(
      "variant", "With get prompt: the variant of the prompt.", default: "active, or ab-test with --subject",
      hasVariable: false, .choice(placeholder: "VARIANT", ["active", "staged", "ab-test"]) { $1.variant = $0 }),
    Flag(
      "subject", "With get prompt: the subject of an A/B test, which decides between its variants.",
      hasVariable: false, .verbatim(placeholder: "TEXT") { set(\.subject, $0, &$1) }),
    Flag(
      "by-prompt-id", "With get prompt: look up by prompt_id instead of agent_id.", default: "false",
      hasVariable: false, .toggle { $1.promptID = $0 }),
    Flag(
      "container", "With get source: look up by the name of the landing container.", hasVariable: false,
      .verbatim(placeholder: "NAME") { set(\.container, $0, &$1) }),
    Flag(
      "ai-agent", "With get source: look up by the ID of the AI agent.", hasVariable: false,
      .verbatim(placeholder: "ID") { set(\.aiAgentID, $0, &$1) }),
  ]

  /// The flags of `list`.
  static let listFlags: [Flag<ToolOptions>] = [
    Flag(
      "type", "With list agents: list only agents of this type, such as extractor.", default: "all",
      hasVariable: false, kind: .oneOf(AgentConfigDocument.AgentType.allCases.map(\.rawValue)),
      .verbatim(placeholder: "TYPE") { set(\.type, $0, &$1) }),
    Flag(
      "mode", "With list sources: list only sources of this ingestion mode, such as blob_trigger.", default: "all",
      hasVariable: false, kind: .oneOf(SourceConfigDocument.Mode.allCases.map(\.rawValue)),
      .verbatim(placeholder: "MODE") { set(\.mode, $0, &$1) }),
    Flag(
      "page-size", "Print one page of at most this number of keys, up to 100.", default: "all pages",
      hasVariable: false, .value(placeholder: "N") { whole($0, 1...100, &$1.pageSize) }),
    Flag(
      "page-token", "Print the one page that begins where another page ended.", hasVariable: false,
      .verbatim(placeholder: "TOKEN") { set(\.pageToken, $0, &$1) }),
  ]

  /// The flags of `watch`.
  static let watchFlags: [Flag<ToolOptions>] = [
    Flag(
      "entity", "Watch only answers of this entity.", default: "all", hasVariable: false, isRepeatable: true,
      .choice(placeholder: "ENTITY", entityNames) { $1.entities.append($0) }),
    Flag(
      "selector", "Watch only answers that are looked up by this request field.", default: "all", hasVariable: false,
      isRepeatable: true,
      .choice(placeholder: "FIELD", ["agent_id", "prompt_id", "source_id", "container", "ai_agent_id"]) {
        $1.selectors.append($0)
      }),
    Flag(
      "key", "Watch only this key.", default: "all", hasVariable: false, isRepeatable: true,
      .verbatim(placeholder: "KEY") {
        $1.keys.append($0)
        return nil
      }),
    Flag(
      "prefix", "Watch only keys with this prefix.", default: "all", hasVariable: false, isRepeatable: true,
      .verbatim(placeholder: "TEXT") {
        $1.prefixes.append($0)
        return nil
      }),
    Flag(
      "initial", "Print an UPSERT for the current answer of every key first.", default: "false", hasVariable: false,
      .toggle { $1.initial = $0 }),
    Flag("values", "Print the new values, too.", default: "false", hasVariable: false, .toggle { $1.values = $0 }),
    Flag(
      "interval-ms", "Interval between PROGRESS notices, in milliseconds. The server may raise it.",
      default: "10000", hasVariable: false,
      .value(placeholder: "MS") { text, options in
        var milliseconds = 0
        let problem = whole(text, 10...3_600_000, &milliseconds)
        if problem == nil { options.interval = .milliseconds(milliseconds) }
        return problem
      }),
    Flag(
      "follow", "Reconnect after the connection is lost, to any of the servers, and resume where it ended.",
      default: "false", hasVariable: false, .toggle { $1.follow = $0 }),
    Flag(
      "other-server", "With --follow: address of another server of the same database.", hasVariable: false,
      isRepeatable: true,
      .value(placeholder: "HOST:PORT") { text, options in
        address(text) { options.otherServers.append($0) }
      }),
    Flag(
      "count", "Exit after this number of changes.", default: "no limit", hasVariable: false,
      .value(placeholder: "N") { text, options in
        guard let number = Int(text), number > 0 else { return "\(text) is not a whole number above 0" }
        options.count = number
        return nil
      }),
  ]

  /// The flag of `health`.
  static let healthFlags: [Flag<ToolOptions>] = [
    Flag(
      "http-server",
      "Address of the server's HTTP port (--http-listen), which requires no client certificate. Without this flag, the "
        + "check uses gRPC. With http:// or https:// in front, the connection is cleartext or TLS whatever the TLS "
        + "flags are.",
      .value(placeholder: "HOST:PORT") { text, options in
        do throws(NetworkError) {
          options.httpServer = try HTTPServer(text)
          return nil
        } catch {
          return error.message
        }
      })
  ]

  /// The flags of `seed`.
  static let seedFlags: [Flag<ToolOptions>] = [
    Flag(
      "mongodb-uri", "MongoDB connection string.", default: "mongodb://127.0.0.1:27017",
      .value(placeholder: "URI") { text, options in
        options.mongoDBURI = text
        do throws(MongoError) {
          _ = try MongoURI(text)
          return nil
        } catch {
          return error.message
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
  ]

  /// The flags of `bench`.
  static let benchFlags: [Flag<ToolOptions>] = [
    Flag(
      "connections", "Number of connections.", default: "16", hasVariable: false,
      .value(placeholder: "N") { whole($0, 1...10_000, &$1.connections) }),
    Flag(
      "depth", "Number of open calls on each connection.", default: "1", hasVariable: false,
      .value(placeholder: "N") { whole($0, 1...1000, &$1.depth) }),
    Flag(
      "seconds", "Duration of the measurement, in seconds.", default: "3", hasVariable: false,
      .value(placeholder: "SECONDS") { readSeconds($0, 0.1...3600, &$1.duration) }),
    Flag(
      "threads", "Number of threads of the load generator, at most one per connection.", default: "1",
      hasVariable: false, .value(placeholder: "N") { whole($0, 1...64, &$1.threads) }),
  ]
}

// Each of these functions reads a value and returns what is wrong with it, or nil.

private func set(
  _ place: WritableKeyPath<ToolOptions, String>, _ text: String, _ options: inout ToolOptions
) -> String? {
  options[keyPath: place] = text
  return nil
}

private func set(
  _ place: WritableKeyPath<ToolOptions, String?>, _ text: String, _ options: inout ToolOptions
) -> String? {
  options[keyPath: place] = text
  return nil
}

private func address(_ text: String, _ store: (HostAndPort) -> Void) -> String? {
  do throws(NetworkError) {
    store(try HostAndPort(text))
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

private func whole<Number: FixedWidthInteger>(_ text: String, _ range: ClosedRange<Number>, _ value: inout Number)
  -> String?
{
  guard let number = Number(text), range.contains(number) else {
    return "\(text) is not a whole number from \(range.lowerBound) to \(range.upperBound)"
  }
  value = number
  return nil
}
