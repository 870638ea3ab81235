internal import Glibc
internal import MongoSource
internal import Server
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The examples in Python, as somebody would run them who has just made the stubs.
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

  /// The prompt changes while it works: the next task has it, and no task but the first asked a server.
  @Test func aWorkerReadsItsPromptForEveryTask() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a", template: "one"))
      let server = try test.server()
      let worker = try ChildProcess(builtExecutable("prompt-worker"), ["\(server.address)", "a"])
      let once = "(asked a server 1 times so far)"
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
}
