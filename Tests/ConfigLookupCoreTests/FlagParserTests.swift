// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Testing

struct FlagParserTests {
  private struct Configuration: Sendable, Equatable {
    var listen = "default"
    var threads = 1
    var insecure = false
    var format = "text"
  }

  private static let parser = FlagParser<Configuration>(flags: [
    Flag(
      "listen", "Where to listen.", default: "default",
      .value(placeholder: "HOST:PORT") { text, configuration in
        configuration.listen = text
        return nil
      }),
    Flag(
      "worker-threads", "How many.",
      .value(placeholder: "N") { text, configuration in
        guard let number = Int(text), number > 0 else { return "\(text) is no number above 0" }
        configuration.threads = number
        return nil
      }),
    Flag("allow-insecure", "Allows it.", .toggle { value, configuration in configuration.insecure = value }),
    Flag("format", "Format.", .choice(placeholder: "FORMAT", ["text", "JSON"]) { $1.format = $0 }),
    Flag("help", "Helps.", hasVariable: false, .toggle { _, _ in }),
  ])

  private func parse(
    _ arguments: [String], _ environment: [String: String] = [:]
  ) throws(UsageError) -> (Configuration, [String]) {
    var configuration = Configuration()
    let rest = try Self.parser.parse(arguments, environment: environment, into: &configuration)
    return (configuration, rest)
  }

  private func problem(_ arguments: [String], _ environment: [String: String] = [:]) -> String? {
    do throws(UsageError) {
      _ = try parse(arguments, environment)
      return nil
    } catch {
      return error.description
    }
  }

  @Test func defaultsStayWhereNothingIsGiven() throws {
    let (configuration, rest) = try parse([])
    #expect(configuration == Configuration())
    #expect(rest.isEmpty)
  }

  @Test func aFlagWinsOverItsVariable() throws {
    let environment = ["CONFIG_LOOKUP_LISTEN": "variable", "CONFIG_LOOKUP_WORKER_THREADS": "2", "LISTEN": "other"]
    #expect(try parse([], environment).0 == Configuration(listen: "variable", threads: 2))
    #expect(try parse(["--listen", "flag"], environment).0 == Configuration(listen: "flag", threads: 2))
    #expect(
      try parse(["--allow-insecure=false"], ["CONFIG_LOOKUP_ALLOW_INSECURE": "yes"]).0.insecure == false)
  }

  @Test func aFlagWithoutVariableHasNone() throws {
    #expect(Self.parser.flags.last?.environmentVariable == nil)
    #expect(problem([], ["CONFIG_LOOKUP_HELP": "nonsense"]) == nil)
  }

  @Test func aValueFollowsOrStandsBehindAnEqualsSign() throws {
    #expect(try parse(["--listen=a=b"]).0.listen == "a=b")
    #expect(try parse(["--listen", "a=b"]).0.listen == "a=b")
    #expect(try parse(["--listen", "one", "--listen", "two"]).0.listen == "two", "the last one counts")
    #expect(try parse(["--listen", "-1"]).0.listen == "-1")
  }

  @Test func aMissingValueSaysWhatIsMissing() {
    #expect(problem(["--listen"]) == "--listen: needs a value: --listen HOST:PORT")
  }

  @Test func aWrongValueNamesTheFlagOrTheVariable() {
    #expect(problem(["--worker-threads", "x"]) == "--worker-threads: x is no number above 0")
    #expect(
      problem([], ["CONFIG_LOOKUP_WORKER_THREADS": "0"])
        == "CONFIG_LOOKUP_WORKER_THREADS: 0 is no number above 0")
  }

  @Test func anUnknownFlagGetsAHint() {
    #expect(problem(["--list", "a"]) == "unknown flag --list: did you mean --listen?")
    #expect(problem(["--listening"]) == "unknown flag --listening: did you mean --listen?")
    #expect(problem(["--lisetn=a"]) == "unknown flag --lisetn: did you mean --listen?")
    #expect(problem(["--frobnicate=3"]) == "unknown flag --frobnicate; --help lists the flags")
  }

  @Test(arguments: [
    ([], false), (["--allow-insecure"], true), (["--allow-insecure=true"], true), (["--allow-insecure=1"], true),
    (["--allow-insecure=YES"], true), (["--allow-insecure=no"], false), (["--allow-insecure=0"], false),
    (["--allow-insecure", "--allow-insecure=false"], false),
  ])
  func aToggle(arguments: [String], wanted: Bool) throws {
    #expect(try parse(arguments).0.insecure == wanted)
  }

  @Test func aToggleTakesNoFollowingValue() throws {
    let (configuration, rest) = try parse(["--allow-insecure", "false"])
    #expect(configuration.insecure)
    #expect(rest == ["false"])
    #expect(problem(["--allow-insecure=maybe"]) == "--allow-insecure: maybe is neither true nor false")
  }

  @Test func aChoiceIsOneOfItsWords() throws {
    #expect(try parse(["--format", "json"]).0.format == "JSON", "as it is listed")
    #expect(try parse([], ["CONFIG_LOOKUP_FORMAT": " TEXT\n"]).0.format == "text")
    #expect(problem(["--format=jsn"]) == "--format: jsn is not one of text, JSON: did you mean JSON?")
    #expect(problem(["--format", "xml"]) == "--format: xml is not one of text, JSON")
    #expect(problem(["--format="]) == "--format: is empty; give text, JSON, or leave it out for the default")
    #expect(problem(["--format"]) == "--format: needs a value: --format FORMAT")
  }

  @Test func theFlagsOfTheCommandLineAreRecorded() throws {
    var configuration = Configuration()
    let parsed = try Self.parser.read(
      ["a", "--listen=b", "--allow-insecure", "--", "--help"], environment: ["CONFIG_LOOKUP_FORMAT": "text"],
      into: &configuration)
    #expect(parsed == ParsedArguments(words: ["a", "--help"], flags: ["listen", "allow-insecure"]))
  }

  @Test func whatIsNoFlagIsGivenBackInOrder() throws {
    let (configuration, rest) = try parse(["get", "--listen", "a", "agent", "-x", "--", "--listen", "b", "--"])
    #expect(configuration.listen == "a")
    #expect(rest == ["get", "agent", "-x", "--listen", "b", "--"])
  }

  @Test func helpNamesEveryFlag() {
    let help = Self.parser.help
    #expect(
      help.contains("  --listen HOST:PORT\n      Where to listen. (default: default)\n      CONFIG_LOOKUP_LISTEN\n"))
    #expect(help.contains("  --allow-insecure\n      Allows it.\n      CONFIG_LOOKUP_ALLOW_INSECURE"))
    #expect(help.contains("  --format FORMAT\n      Format. One of: text, JSON.\n"))
    #expect(help.hasSuffix("  --help\n      Helps."))
  }
}
