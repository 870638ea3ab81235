// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Glibc

/// The values of the flags of all commands.
struct ToolOptions: Sendable {
  /// `--server`
  var server = HostAndPort(host: "127.0.0.1", port: 50061)
  /// `--grpc`: gRPC instead of framed protobuf.
  var isGRPC = false
  /// `--output` or `--json`.
  var output = OutputFormat.text
  /// `--color`
  var color = ColorMode.auto
  /// The colours of text output, by `--color` and the terminal.
  var style = Style.plain
  /// `--timeout-seconds`
  var timeout = Duration.seconds(10)
  /// `--help`
  var wantsHelp = false
  /// `--version`
  var wantsVersion = false
  /// `--http-server`, of `health`; nil: over gRPC.
  var httpServer: HTTPServer?
  /// The TLS flags.
  var tls = ToolTLS()
  /// `--token-file`
  var tokenFile: String?
  /// `CONFIG_LOOKUP_TOKEN`. There is no flag, because other users of the machine can read the arguments of a process.
  var token: String?

  // MARK: get, list

  /// `--subject`
  var subject: String?
  /// `--variant`
  var variant: String?
  /// `--by-prompt-id`
  var promptID = false
  /// `--container`
  var container: String?
  /// `--ai-agent`
  var aiAgentID: String?
  /// `--type`; empty for all.
  var type = ""
  /// `--mode`; empty for all.
  var mode = ""
  /// `--page-size`; 0 for all pages.
  var pageSize: Int32 = 0
  /// `--page-token`; empty for the first page.
  var pageToken = ""
  /// `--if-none-match`; empty for none.
  var ifNoneMatch = ""

  // MARK: watch

  /// `--entity`; empty for all.
  var entities: [String] = []
  /// `--selector`; empty for all.
  var selectors: [String] = []
  /// `--key`; empty for all.
  var keys: [String] = []
  /// `--prefix`; empty for all.
  var prefixes: [String] = []
  /// `--initial`
  var initial = false
  /// `--values`
  var values = false
  /// `--interval-ms`; nil for the server's default.
  var interval: Duration?
  /// `--count`; nil for no limit.
  var count: Int?
  /// `--follow`
  var follow = false
  /// `--other-server`
  var otherServers: [HostAndPort] = []

  // MARK: seed

  /// `--mongodb-uri`
  var mongoDBURI = "mongodb://127.0.0.1:27017"
  /// `--agent-configs`
  var agentConfigs = "ai_model.agent_configs"
  /// `--prompts`
  var prompts = "ai_model.prompts"
  /// `--source-configs`
  var sourceConfigs = "collection_model.source_configs"

  // MARK: bench

  /// `--connections`
  var connections = 16
  /// `--depth`
  var depth = 1
  /// `--seconds`
  var duration = Duration.seconds(3)
  /// `--threads`
  var threads = 1

  // The two flags for the format, until finish(flags:environment:) decides between them.
  var namedOutput: OutputFormat?
  var json: Bool?

  /// Decides what depends on several flags or variables: the format, the colours and the token.
  ///
  /// - Parameters:
  ///   - flags: The names of the flags on the command line; they take precedence over variables.
  ///   - environment: The environment variables.
  /// - Throws: `--json` beside another `--output`, or a wrong token.
  mutating func finish(flags: [String], environment: [String: String]) throws(UsageError) {
    let hasOutput = flags.contains("output")
    let hasJSON = flags.contains("json")
    if json == true, let namedOutput, namedOutput != .json, hasOutput == hasJSON {
      let names = hasJSON ? ("--json", "--output") : ("CONFIG_LOOKUP_JSON", "CONFIG_LOOKUP_OUTPUT")
      throw UsageError("\(names.0): conflicts with \(names.1) \(namedOutput.rawValue); give one of the two")
    }
    if json == true, hasJSON || !hasOutput {
      output = .json
    } else {
      output = namedOutput ?? .text
    }
    style = Style(color, environment: environment, isTerminal: isatty(STDOUT_FILENO) == 1)
    if let token = environment["CONFIG_LOOKUP_TOKEN"] {
      self.token = try writtenValue(token, called: "CONFIG_LOOKUP_TOKEN", wanted: "the token")
    }
  }

  /// The bearer token of the caller; nil where there is none.
  ///
  /// - Throws: The problem of `--token-file`.
  func bearerToken() throws(UsageError) -> String? {
    guard let tokenFile else { return token }
    do throws(FileProblem) {
      return try readValueFile(tokenFile, acceptsPipe: true)
    } catch {
      throw UsageError("--token-file: \(tokenFile): \(error)")
    }
  }

  /// Checks that each `--selector` belongs to a watched entity.
  ///
  /// - Throws: The first selector that does not.
  func checkSelectors() throws(UsageError) {
    let watched = entities.isEmpty ? entityNames : entities
    for selector in selectors where !watched.contains(where: { entitySelectors[$0]?.contains(selector) ?? false }) {
      throw UsageError("--selector \(selector): no answer of \(entities.joined(separator: ", ")) is looked up by it")
    }
  }
}

/// The address of the server's HTTP port.
struct HTTPServer: Sendable {
  /// The host and the port.
  let address: HostAndPort
  /// Whether the connection uses TLS; nil where the TLS flags decide.
  let usesTLS: Bool?

  /// Reads `HOST:PORT`, with `http://` or `https://` in front or without.
  ///
  /// - Throws: What is wrong with the address.
  init(_ text: String) throws(NetworkError) {
    usesTLS = text.hasPrefix("https://") ? true : text.hasPrefix("http://") ? false : nil
    address = try HostAndPort(usesTLS == nil ? text : String(text.drop { $0 != "/" }.dropFirst(2)))
  }
}

/// The names of the entities on the command line, in the order of the contract.
let entityNames = ["agent", "prompt", "source"]

/// The numbers of the entities in the contract, by their names on the command line.
let entityNumbers: [String: UInt32] = ["agent": 1, "prompt": 2, "source": 3]

/// The request fields by which the answers of an entity are looked up.
let entitySelectors: [String: [String]] = [
  "agent": ["agent_id"], "prompt": ["agent_id", "prompt_id"], "source": ["source_id", "container", "ai_agent_id"],
]
