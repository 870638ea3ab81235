// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Glibc

/// The version that `--version` prints.
let toolVersion = "0.1.0"

/// The exit statuses, after sysexits.h, for scripts.
enum ExitStatus {
  static let success: Int32 = 0
  /// The server has no such key.
  static let notFound: Int32 = 1
  /// A usage error.
  static let usage = EX_USAGE
  /// Documents that break a rule.
  static let data = EX_DATAERR
  /// The server cannot be reached or is not ready.
  static let unavailable = EX_UNAVAILABLE
  /// The server returns another error.
  static let failed = EX_SOFTWARE
  /// The credentials are missing or wrong, or their permissions do not suffice.
  static let notPermitted = EX_NOPERM
  /// `status`: a cache is not loaded, or was not verified within its TTL.
  static let notValid = EX_TEMPFAIL

  /// All statuses, for the manual page.
  static let all: [(status: Int32, meaning: String)] = [
    (success, "Success."),
    (notFound, "The server has no such key."),
    (usage, "Usage error."),
    (data, "seed: a document breaks a rule."),
    (EX_NOINPUT, "seed: the folder or its files do not exist."),
    (unavailable, "The server cannot be reached or is not ready."),
    (failed, "Another error."),
    (EX_IOERR, "Standard output cannot be written."),
    (notValid, "status: a cache is not valid."),
    (notPermitted, "The token or the certificate is missing, wrong or without the permission."),
    (128 + SIGPIPE, "The reader of standard output closed the pipe."),
  ]
}

/// An error that ends the tool with a message and an exit status.
struct ToolFailure: Error {
  /// The exit status.
  let status: Int32
  /// One line, for standard error.
  let message: String
  /// The error of the server, if it is one.
  var rpcStatus: RPCStatus?
}

/// Runs `config-lookup`.
///
/// - Parameters:
///   - arguments: The command line without the program's name.
///   - environment: The environment variables.
/// - Returns: The exit status.
public func runTool(arguments: [String], environment: [String: String]) -> Int32 {
  StandardStreams.prepare()
  var options = ToolOptions()
  do {
    let parsed = try ToolOptions.flags.read(arguments, environment: environment, into: &options)
    try options.finish(flags: parsed.flags, environment: environment)
    for warning in ToolOptions.flags.unknownVariables(in: environment, others: ToolOptions.otherVariables) {
      printError("warning: \(warning)")
    }
    return try run(parsed, options)
  } catch let error as UsageError {
    printError(error.message)
    return ExitStatus.usage
  } catch let problem as OutputProblem {
    if !problem.isClosedPipe { printError("\(problem)") }
    return problem.exitStatus
  } catch let error as ToolFailure {
    if let status = error.rpcStatus { printError(status, options.output) } else { printError(error.message) }
    return error.status
  } catch let error as RPCClientError {
    printError("\(error)")
    return ExitStatus.unavailable
  } catch {
    printError("\(error)")
    return ExitStatus.failed
  }
}

private func run(_ parsed: ParsedArguments, _ options: ToolOptions) throws -> Int32 {
  if options.wantsVersion {
    try printLine("config-lookup \(toolVersion)")
    return ExitStatus.success
  }
  guard let name = parsed.words.first else {
    try StandardStreams.write(Command.program.overview + "\n")
    return options.wantsHelp ? ExitStatus.success : ExitStatus.usage
  }
  let command = try Command.named(name)
  if options.wantsHelp {
    try StandardStreams.write(Command.program.help(of: command.description) + "\n")
    return ExitStatus.success
  }
  try command.check(parsed.flags)
  return try command.run(Array(parsed.words.dropFirst()), options)
}

/// Checks the number of words after a command.
///
/// - Parameters:
///   - words: The words after the command.
///   - names: What each of them is, for messages.
/// - Throws: A word that is missing, or one too many.
func expect(_ words: [String], _ names: String...) throws(UsageError) {
  if words.count < names.count { throw UsageError("\(names[words.count]) is missing; --help prints the usage") }
  if words.count > names.count {
    throw UsageError("unexpected argument \"\(words[names.count])\"; --help prints the usage")
  }
}
