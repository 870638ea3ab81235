// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupServer
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The examples in Python, run with stubs that have just been generated.
@Suite struct ExampleTests {
  @Test func lookups() throws {
    try withSeededServer(.gRPC) { tool in
      let agent = try Interop.runExample("lookup.py", [tool.server, "agent", "disease-diagnosis"])
      #expect(agent.first?.hasPrefix("# revision ") == true)
      #expect(agent.contains("agent_id: \"disease-diagnosis\""))
      let prompt = try Interop.runExample(
        "lookup.py", [tool.server, "prompt", "disease-diagnosis", "--subject", "f-1"])
      #expect(prompt.contains("prompt_id: \"disease-diagnosis\""))
      let source = try Interop.runExample("lookup.py", [tool.server, "source", "qc-machine-results"])
      #expect(source.contains("source_id: \"qc-machine-results\""))

      let nobody = try Interop.startExample("lookup.py", [tool.server, "agent", "nobody"])
      #expect(try nobody.waitForExit() == .exited(1))
      #expect(nobody.errorLines == ["NOT_FOUND: no active agent config for agent_id \"nobody\""])
    }
  }

  /// The prompt changes while the worker runs: the next task uses it, and only the first task makes a call.
  @Test func aWorkerReadsItsPromptForEveryTask() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a", template: "one"))
      let server = try test.server()
      let worker = try ChildProcess(builtExecutable("prompt-worker"), ["\(server.address)", "a"])
      let once = "(server calls so far: 1)"
      try worker.waitForLine("a task") { $0.contains("prompt 1.0.0, one") && $0.hasSuffix(once) }
      try test.prompts.update(Documents.selector("a-prompt:1.0.0"), Documents.set("content.template", "two"))
      try worker.waitForLine("a task after the change") { $0.contains("prompt 1.0.0, two") && $0.hasSuffix(once) }
      worker.send(SIGTERM)
      #expect(try worker.waitForExit() == .signaled(SIGTERM))
      let calls = try metrics(server.server.httpAddress).filter {
        $0.key.contains("rpc_duration_seconds_count") && $0.key.contains("GetPrompt")
      }
      #expect(calls.values.reduce(0, +) == 1, "\(calls)")
    }
  }

  @Test func aWatchHoldsEverything() throws {
    try withSeededServer(.gRPC) { tool in
      let watch = try Interop.startExample("watch.py", [tool.server])
      try watch.waitForLine("an agent") { $0.hasPrefix("UPSERT agent_config:disease-diagnosis revision ") }
      try watch.waitForLine("a source") { $0.hasPrefix("UPSERT source_config:qc-machine-results revision ") }
      watch.send(SIGINT)
      #expect(try watch.waitForExit() == .exited(0), "\(watch.lastLines)")
    }
  }

  /// The program prints what it waits for, and fails with a message that names the server.
  @Test func aWorkerWithoutAServer() throws {
    let nobody = "127.0.0.1:\(try freePort())"
    let worker = try ChildProcess(builtExecutable("prompt-worker"), [nobody, "a"])
    #expect(try worker.waitForExit() == .exited(EX_UNAVAILABLE), "\(worker.lastLines)")
    #expect(worker.errorLines.first == "prompt-worker: connecting to \(nobody)")
    #expect(worker.errorLines.last?.contains("Connection refused") == true && worker.errorLines.count == 2)
    let wrong = try ChildProcess(builtExecutable("prompt-worker"), ["nonsense", "a"])
    #expect(try wrong.waitForExit() == .exited(EX_USAGE), "\(wrong.lastLines)")
    #expect(wrong.errorLines.last?.contains("nonsense") == true && wrong.errorLines.count == 1)
  }

  /// The example waits for a server that starts later, and prints the failure and the recovery once each.
  @Test func aWatchSaysWhatItWaitsFor() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a"))
      let address = "127.0.0.1:\(try freePort())"
      let python = try Interop.startExample("watch.py", [address])
      let tool = try ChildProcess(
        builtExecutable("config-lookup"), ["watch", "--follow", "--server", address, "--timeout-seconds", "60"])
      try python.waitForLine("it waits") { $0.hasPrefix("watch.py: waiting for \(address): ") }
      try tool.waitForLine("it waits") { $0 == "config-lookup: no connection to \(address) yet: waiting" }
      let server = try ServerProcess(test.arguments + ["--listen", address])
      try python.waitForLine("it watches") { $0 == "watch.py: watching \(address)" }
      try python.waitForLine("a prompt") { $0.hasPrefix("UPSERT prompt:a revision ") }
      try tool.waitForLine("it watches") { $0 == "config-lookup: connected" }
      try tool.waitForLine("all is well") { $0.contains("PROGRESS") }
      #expect(try server.child.stop() == .exited(0))
      try tool.waitForLine("the loss") { $0.contains("the connection is lost") }
      #expect(tool.errorLines.count == 3, "\(tool.errorLines)")
      #expect(python.errorLines.filter { $0.contains("watching") }.count == 1, "\(python.errorLines)")
    }
  }

  @Test(arguments: ["lookup.py", "watch.py", "make_stubs.py"]) func helpOfExamples(script: String) throws {
    let help = try Interop.startExample(script, ["-h"])
    #expect(try help.waitForExit() == .exited(0))
    #expect(help.outputLines.first?.hasPrefix("usage: \(script)") == true, "\(help.lastLines)")
    let wrong = try Interop.startExample(script, ["--no-such-flag"])
    #expect(try wrong.waitForExit() == .exited(2), "\(wrong.lastLines)")
  }

  /// Standard output that is full, or whose reader has closed it.
  @Test func outputOfExamplesThatFails() throws {
    try withSeededServer(.gRPC) { tool in
      for words in [["watch.py", tool.server], ["lookup.py", tool.server, "agent", "disease-diagnosis"]] {
        let full = try Interop.startExample(words, redirection: ">/dev/full")
        #expect(try full.waitForExit() == .exited(EX_IOERR), "\(full.lastLines)")
        #expect(full.errorLines == ["\(words[0]): standard output: No space left on device"])
      }
      let piped = try Interop.startExample(["watch.py", tool.server], redirection: "| head -n 1")
      #expect(try piped.waitForExit() == .exited(0))
      #expect(piped.outputLines.count == 1 && piped.errorLines.isEmpty, "\(piped.lastLines)")
    }
  }
}
