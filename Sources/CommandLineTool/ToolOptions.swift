internal import Core
internal import MongoSource
internal import Network

/// What the command line asks for: every flag of every command.
struct ToolOptions: Sendable {
  var server = HostAndPort(host: "127.0.0.1", port: 50061)
  /// gRPC, not frames.
  var isGRPC = false
  var json = false
  var timeoutSeconds = 10.0
  var wantsHelp = false
  var wantsVersion = false
  /// Of `health`: where to ask over HTTP; nil: over gRPC.
  var httpServer: HTTPServer?
  var tls = ToolTLS()
  var tokenFile: String?
  /// From the environment only: others on the machine see the words of a command line.
  var token: String?

  // get, list
  var subject: String?
  var variant: String?
  var promptID = false
  var container: String?
  var aiAgentID: String?
  var type = ""
  var mode = ""
  var pageSize: Int32 = 0
  var pageToken = ""
  var ifNoneMatch = ""

  // watch
  var entities: [String] = []
  var selectors: [String] = []
  var keys: [String] = []
  var prefixes: [String] = []
  var initial = false
  var values = false
  var intervalMilliseconds: UInt32 = 0
  var count: Int?
  var follow = false
  var otherServers: [HostAndPort] = []

  // seed
  var mongoDBURI = "mongodb://127.0.0.1:27017"
  var agentConfigs = "ai_model.agent_configs"
  var prompts = "ai_model.prompts"
  var sourceConfigs = "collection_model.source_configs"

  // bench
  var connections = 16
  var depth = 1
  var seconds = 3.0
  var threads = 1

  static let flags = FlagParser<ToolOptions>(
    flags: general + ToolTLS.flags + lookups + watches + others)

  private static let general: [Flag<ToolOptions>] = [
    Flag(
      "server", "Where the server listens.", default: "127.0.0.1:50061",
      .value(placeholder: "HOST:PORT") { text, options in
        do throws(NetworkError) {
          options.server = try HostAndPort(text)
          return nil
        } catch {
          return error.message
        }
      }),
    Flag(
      "http-server",
      "health: ask the server's --http-listen address, which needs no client certificate under mutual TLS. With "
        + "http:// or https:// in front, TLS is off or on whatever the --tls flags say.",
      .value(placeholder: "HOST:PORT") { text, options in
        do throws(NetworkError) {
          options.httpServer = try HTTPServer(text)
          return nil
        } catch {
          return error.message
        }
      }),
    Flag("grpc", "Speak gRPC to the server, not frames.", .toggle { $1.isGRPC = $0 }),
    Flag(
      "token-file", "A file with the token that the server knows you by.", default: "CONFIG_LOOKUP_TOKEN, if it is set",
      .value(placeholder: "FILE") {
        $1.tokenFile = $0; return nil
      }),
    Flag("json", "One JSON object a line, for programs.", .toggle { $1.json = $0 }),
    Flag(
      "timeout-seconds", "How long to wait for an answer.", default: "10",
      .value(placeholder: "SECONDS") { number($0, 0.001...86_400, &$1.timeoutSeconds) }),
    Flag("version", "Print the version and exit.", hasVariable: false, .toggle { $1.wantsVersion = $0 }),
    Flag("help", "Print this help and exit.", hasVariable: false, .toggle { $1.wantsHelp = $0 }),
  ]

  private static let lookups: [Flag<ToolOptions>] = [
    Flag(
      "subject", "get prompt: who asks; decides an A/B test.", hasVariable: false,
      .verbatim(placeholder: "TEXT") {
        $1.subject = $0; return nil
      }),
    Flag(
      "variant", "get prompt: active, staged or ab-test.", default: "active, or ab-test with --subject",
      hasVariable: false,
      .value(placeholder: "VARIANT") { text, options in
        guard ["active", "staged", "ab-test"].contains(text.lowercased()) else {
          return "\(text) is none of active, staged, ab-test"
        }
        options.variant = text.lowercased()
        return nil
      }),
    Flag(
      "by-prompt-id", "get prompt: the key is a prompt_id, not an agent_id.", hasVariable: false,
      .toggle { $1.promptID = $0 }),
    Flag(
      "container", "get source: by landing container.", hasVariable: false,
      .verbatim(placeholder: "NAME") {
        $1.container = $0; return nil
      }),
    Flag(
      "ai-agent", "get source: by AI agent.", hasVariable: false,
      .verbatim(placeholder: "ID") {
        $1.aiAgentID = $0; return nil
      }),
    Flag(
      "if-none-match", "get: an etag; an equal one gives no value.", hasVariable: false,
      .verbatim(placeholder: "ETAG") {
        $1.ifNoneMatch = $0; return nil
      }),
    Flag(
      "type", "list agents: only this type.", hasVariable: false,
      .verbatim(placeholder: "TYPE") {
        $1.type = $0; return nil
      }),
    Flag(
      "mode", "list sources: only this ingestion mode.", hasVariable: false,
      .verbatim(placeholder: "MODE") {
        $1.mode = $0; return nil
      }),
    Flag(
      "page-size", "list: one page of so many, instead of all pages.", hasVariable: false,
      .value(placeholder: "N") { whole($0, 1...100, &$1.pageSize) }),
    Flag(
      "page-token", "list: one page, from where another ended.", hasVariable: false,
      .verbatim(placeholder: "TOKEN") {
        $1.pageToken = $0; return nil
      }),
  ]

  private static let watches: [Flag<ToolOptions>] = [
    Flag(
      "entity", "watch: agent, prompt or source; may be repeated.", default: "all", hasVariable: false,
      .value(placeholder: "ENTITY") { text, options in
        guard entityNumbers[text.lowercased()] != nil else { return "\(text) is none of agent, prompt, source" }
        options.entities.append(text.lowercased())
        return nil
      }),
    Flag(
      "selector",
      "watch: only answers that are looked up by this request field: agent_id, prompt_id, source_id, container or "
        + "ai_agent_id; may be repeated.", default: "all", hasVariable: false,
      .value(placeholder: "FIELD") { text, options in
        guard entitySelectors.values.contains(where: { $0.contains(text) }) else {
          return "\(text) is none of agent_id, prompt_id, source_id, container, ai_agent_id"
        }
        options.selectors.append(text)
        return nil
      }),
    Flag(
      "key", "watch: only this key; may be repeated.", hasVariable: false,
      .verbatim(placeholder: "KEY") {
        $1.keys.append($0); return nil
      }),
    Flag(
      "prefix", "watch: only keys that begin so; may be repeated.", hasVariable: false,
      .verbatim(placeholder: "TEXT") {
        $1.prefixes.append($0); return nil
      }),
    Flag("initial", "watch: first what every key answers now.", hasVariable: false, .toggle { $1.initial = $0 }),
    Flag("values", "watch: with the values.", hasVariable: false, .toggle { $1.values = $0 }),
    Flag(
      "interval-ms", "watch: how often the server says that it is there.", default: "10000", hasVariable: false,
      .value(placeholder: "MS") { whole($0, 10...3_600_000, &$1.intervalMilliseconds) }),
    Flag(
      "follow", "watch: go on where it was when the connection is lost, at any of the servers.", hasVariable: false,
      .toggle { $1.follow = $0 }),
    Flag(
      "other-server", "watch --follow: another server over the same database; may be repeated.", hasVariable: false,
      .value(placeholder: "HOST:PORT") { text, options in
        do throws(NetworkError) {
          options.otherServers.append(try HostAndPort(text))
          return nil
        } catch {
          return error.message
        }
      }),
    Flag(
      "count", "watch: end after so many changes.", hasVariable: false,
      .value(placeholder: "N") { text, options in
        guard let number = Int(text), number > 0 else { return "\(text) is no number above 0" }
        options.count = number
        return nil
      }),
  ]

  private static let others: [Flag<ToolOptions>] = [
    Flag(
      "mongodb-uri", "seed: the database.", default: "mongodb://127.0.0.1:27017",
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
      "agent-configs", "seed: the collection of agent configs.", default: "ai_model.agent_configs",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.agentConfigs) }),
    Flag(
      "prompts", "seed: the collection of prompts.", default: "ai_model.prompts",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.prompts) }),
    Flag(
      "source-configs", "seed: the collection of source configs.", default: "collection_model.source_configs",
      .value(placeholder: "DATABASE.COLLECTION") { namespace($0, &$1.sourceConfigs) }),
    Flag(
      "connections", "bench: how many.", default: "16", hasVariable: false,
      .value(placeholder: "N") { whole($0, 1...10_000, &$1.connections) }),
    Flag(
      "depth", "bench: calls under way on each.", default: "1", hasVariable: false,
      .value(placeholder: "N") { whole($0, 1...1000, &$1.depth) }),
    Flag(
      "seconds", "bench: how long.", default: "3", hasVariable: false,
      .value(placeholder: "SECONDS") { number($0, 0.1...3600, &$1.seconds) }),
    Flag(
      "threads", "bench: how many make the load.", default: "1", hasVariable: false,
      .value(placeholder: "N") { whole($0, 1...64, &$1.threads) }),
  ]
}

/// Where the server answers HTTP.
struct HTTPServer: Sendable {
  let address: HostAndPort
  /// Nil: as for the other port.
  let usesTLS: Bool?

  /// Reads `HOST:PORT`, with `http://` or `https://` in front or without.
  init(_ text: String) throws(NetworkError) {
    usesTLS = text.hasPrefix("https://") ? true : text.hasPrefix("http://") ? false : nil
    address = try HostAndPort(usesTLS == nil ? text : String(text.drop { $0 != "/" }.dropFirst(2)))
  }
}

/// What the command line calls an entity, and its number in the contract.
let entityNumbers: [String: UInt32] = ["agent": 1, "prompt": 2, "source": 3]

private func namespace(_ text: String, _ namespace: inout String) -> String? {
  guard let read = MongoNamespace(text) else { return "\(text) is not DATABASE.COLLECTION" }
  namespace = read.description
  return nil
}

/// The request fields by which answers of an entity are looked up.
private let entitySelectors: [String: [String]] = [
  "agent": ["agent_id"], "prompt": ["agent_id", "prompt_id"], "source": ["source_id", "container", "ai_agent_id"],
]

extension ToolOptions {
  /// Throws where no watched entity is looked up by a selector.
  func checkSelectors() throws(UsageError) {
    let watched = entities.isEmpty ? Array(entitySelectors.keys) : entities
    for selector in selectors where !watched.contains(where: { entitySelectors[$0]?.contains(selector) ?? false }) {
      throw UsageError("--selector \(selector): no answer of \(entities.joined(separator: ", ")) is looked up by it")
    }
  }
}

private func number(_ text: String, _ range: ClosedRange<Double>, _ value: inout Double) -> String? {
  guard let number = Double(text), range.contains(number) else {
    return "\(text) is not a number from \(range.lowerBound) to \(range.upperBound)"
  }
  value = number
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
