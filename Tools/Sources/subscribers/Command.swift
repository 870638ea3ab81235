// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc

/// Runs the measurement with the given arguments, without the program's name. Returns the exit status.
func runSubscribers(arguments: [String]) -> Int32 {
  var options = Options()
  do {
    let rest = try Options.flags.parse(arguments, environment: [:], into: &options)
    if let first = rest.first { throw UsageError("\(first): not a flag; --help lists them") }
    if options.wantsHelp {
      print(help)
      return 0
    }
    let run = try Run(options)
    try run.all()
    say(run.failures == 0 ? "all as it must be" : "FAILED: \(run.failures) of the checks above")
    return run.failures == 0 ? 0 : 1
  } catch let error as UsageError {
    Logger.writeToStandardError("subscribers: \(error.message)")
    return EX_USAGE
  } catch {
    Logger.writeToStandardError("subscribers: FAILED: \(error)")
    return 1
  }
}

private let help = """
  subscribers: a server and a database as processes, many subscribers, and what they cost.

  Everybody who reads must be told the last state of every key; who never reads must be told one RESYNC, and then the
  present; the server's memory must stay within its bound.

  \(Options.flags.help)

  Exit status: 0 all as it must be; 1 not; 64 a mistake on the command line.
  """
