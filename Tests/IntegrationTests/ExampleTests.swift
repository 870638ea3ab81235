internal import Glibc
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
