internal import Core
internal import Glibc
internal import RPC

/// The version that `--version` prints.
private let toolVersion = "0.1.0"

/// How the tool ends, for scripts (after sysexits.h).
enum ExitStatus {
  static let success: Int32 = 0
  /// The server says that there is no such key.
  static let notFound: Int32 = 1
  /// A mistake on the command line.
  static let usage = EX_USAGE
  /// Documents that break a rule.
  static let data = EX_DATAERR
  /// No server there, or it does not answer.
  static let unavailable = EX_UNAVAILABLE
  /// The server answers with another error.
  static let failed = EX_SOFTWARE
  /// The server does not know the caller, or does not permit it.
  static let notPermitted = EX_NOPERM
  /// `status`: a cache is not loaded, or not confirmed within its TTL.
  static let notValid = EX_TEMPFAIL
}

/// An end with a message and a status.
struct ToolFailure: Error {
  let status: Int32
  let message: String
}

/// Runs `config-lookup` with arguments (without the program's name) and environment. Returns the exit status.
public func runTool(arguments: [String], environment: [String: String]) -> Int32 {
  StandardStreams.prepare()
  var options = ToolOptions()
  do {
    // `CONFIG_LOOKUP_SERVER` and the others are defaults; a list from the environment would only surprise.
    let words = try ToolOptions.flags.parse(arguments, environment: environment, into: &options)
    if let token = environment["CONFIG_LOOKUP_TOKEN"] {
      options.token = try writtenValue(token, called: "CONFIG_LOOKUP_TOKEN", wanted: "the token")
    }
    if options.wantsVersion {
      try say("config-lookup \(toolVersion)")
      return ExitStatus.success
    }
    if options.wantsHelp || words.isEmpty {
      try StandardStreams.write(help + "\n")
      return options.wantsHelp ? ExitStatus.success : ExitStatus.usage
    }
    return try run(words, options)
  } catch let error as UsageError {
    complain(error.message)
    return ExitStatus.usage
  } catch let problem as OutputProblem {
    if !problem.isClosedPipe { complain("\(problem)") }
    return problem.exitStatus
  } catch let error as ToolFailure {
    complain(error.message)
    return error.status
  } catch let error as RPCClientError {
    complain("\(error)")
    return ExitStatus.unavailable
  } catch {
    complain("\(error)")
    return ExitStatus.failed
  }
}

private func run(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  let rest = Array(words.dropFirst())
  switch words[0] {
  case "get": return try runGet(rest, options)
  case "resolve": return try runResolve(rest, options)
  case "list": return try runList(rest, options)
  case "watch": return try runWatch(rest, options)
  case "status": return try runStatus(rest, options)
  case "health": return try runHealth(rest, options)
  case "invalidate": return try runInvalidate(rest, options)
  case "seed": return try runSeed(rest, options)
  case "bench": return try runBench(rest, options)
  default: throw UsageError("\(words[0]): no such command; --help lists them")
  }
}

/// Throws unless exactly these words follow the command.
func expect(_ words: [String], _ names: String...) throws(UsageError) {
  if words.count < names.count { throw UsageError("\(names[words.count]) is missing; --help shows the commands") }
  if words.count > names.count {
    throw UsageError("\(words[names.count]): one word too many; --help shows the commands")
  }
}

func complain(_ message: String) {
  Logger.writeToStandardError("config-lookup: \(escapingControls(message))")
}

/// Writes a line to standard output at once, so that the reader of a pipe sees each line when it is printed. Control
/// characters, which documents and servers may have put into the line, are escaped.
///
/// - Throws: ``OutputProblem`` when the line cannot be written.
func say(_ text: String) throws(OutputProblem) {
  try StandardStreams.write(escapingControls(text) + "\n")
}

private let help = """
  config-lookup: asks a config-lookup-server which config is in force, and watches it change.

    config-lookup get agent AGENT_ID
    config-lookup get prompt AGENT_ID [--subject WHO] [--variant staged] [--by-prompt-id]
    config-lookup get source SOURCE_ID | --container NAME | --ai-agent ID
    config-lookup resolve CONTAINER PATH         which source does a blob belong to, and what does its path say
    config-lookup list agents [--type TYPE] | prompts | sources [--mode MODE]
    config-lookup watch [--entity E] [--selector FIELD] [--key K] [--prefix P] [--initial] [--values]
    config-lookup watch --follow [--other-server HOST:PORT] [--entity E] [--selector FIELD] [--key K] [--prefix P]
    config-lookup status                         how the caches are doing
    config-lookup health                         should calls come here? For health checks of containers
    config-lookup invalidate [agent|prompt|source]   read the collections again now
    config-lookup seed FOLDER --mongodb-uri URI  check agent_configs.json, prompts.json, source_configs.json; load them
    config-lookup bench [--connections N] [--depth N] [--seconds S]

  Flags stand anywhere; each has an environment variable.

  \(ToolOptions.flags.help)

  Exit status: 0 done; 1 no such key; 64 a mistake on the command line; 65 a document breaks a rule; 69 the server
  cannot be reached or is not ready; 70 another error; 74 standard output cannot be written; 75 status: a cache is not
  valid; 77 not permitted, or no right token; 141 the reader of standard output has closed it.
  """
