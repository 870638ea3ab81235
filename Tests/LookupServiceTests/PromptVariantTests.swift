// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import ConfigModels
internal import LookupService
internal import TestSupport
internal import Testing

/// The selection of a prompt by variant and subject.
struct PromptVariantTests {
  private static let test = "{\"enabled\": true, \"traffic_percentage\": 30, \"test_id\": \"trial\"}"

  private static func request(_ variant: Variant, subject: String = "", of request: WireMessage) -> WireMessage {
    var request = request.with(3, variant.rawValue)
    if !subject.isEmpty { request = request.with(4, subject) }
    return request
  }

  @Test func aTestSendsItsShareOfSubjectsToTheStagedPrompt() throws {
    try ServiceHarness.run(prompts: [
      prompt("p", agent: "a"), prompt("p", agent: "a", version: "1.1.0", status: "staged", test: Self.test),
    ]) { harness throws in
      var staged = 0
      for number in 0..<400 {
        let subject = "subject-\(number)"
        let wanted = ABTest.point(subject: subject, testID: "trial") < 30
        for selector in [getPrompt(agentID: "a"), getPrompt(promptID: "p")] {
          let reply = try harness.call("GetPrompt", Self.request(.abTest, subject: subject, of: selector))
          #expect(reply.code == .ok)
          #expect(reply.message.number(3) == (wanted ? Variant.staged : .active).rawValue)
          #expect(try reply.message.message(1).text(4) == (wanted ? "1.1.0" : "1.0.0"))
          #expect(reply.message.text(4) == "trial")
        }
        if wanted { staged += 1 }
      }
      #expect((80...160).contains(staged), "\(staged) of 400 is not about 30 %")
    }
  }

  @Test(arguments: [
    ("{\"enabled\": true, \"traffic_percentage\": 0}", Variant.active, "p:1.1.0"),
    ("{\"enabled\": true, \"traffic_percentage\": 100}", .staged, "p:1.1.0"),
    ("{\"enabled\": true, \"traffic_percentage\": 100, \"test_id\": \"t\"}", .staged, "t"),
    ("{\"enabled\": false, \"traffic_percentage\": 100, \"test_id\": \"t\"}", .active, ""),
    ("{}", .active, ""),
  ])
  func theEndsOfTheShareAndNoTest(test: String, wanted: Variant, testID: String) throws {
    try ServiceHarness.run(prompts: [
      prompt("p", agent: "a"), prompt("p", agent: "a", version: "1.1.0", status: "staged", test: test),
    ]) { harness throws in
      for number in 0..<20 {
        let reply = try harness.call(
          "GetPrompt", Self.request(.abTest, subject: "s\(number)", of: getPrompt(agentID: "a")))
        #expect(reply.message.number(3) == wanted.rawValue)
        #expect(reply.message.text(4) == testID)
      }
    }
  }

  @Test func stagedNeverFallsBack() throws {
    try ServiceHarness.run(prompts: [
      prompt("p", agent: "a"), prompt("q", agent: "b", status: "staged", test: Self.test),
    ]) { harness throws in
      let none = try harness.call("GetPrompt", Self.request(.staged, of: getPrompt(agentID: "a")))
      #expect(none.status == RPCStatus(.keyNotFound, "no staged prompt for agent_id \"a\""))
      let staged = try harness.call("GetPrompt", Self.request(.staged, of: getPrompt(promptID: "q")))
      #expect(staged.code == .ok)
      #expect(staged.message.number(3) == Variant.staged.rawValue)
      #expect(staged.message.text(4) == "", "no test decided")
      let active = try harness.call("GetPrompt", Self.request(.active, of: getPrompt(promptID: "q")))
      #expect(active.status == RPCStatus(.keyNotFound, "no active prompt for prompt_id \"q\""))
      let unspecified = try harness.call("GetPrompt", getPrompt(agentID: "a"))
      #expect(unspecified.message.number(3) == Variant.active.rawValue)
      #expect(unspecified.message.text(4) == "")

      // For a subject that is not in the test, the active prompt is looked up, and there is none.
      let outside = try #require((0...).first { ABTest.point(subject: "s\($0)", testID: "trial") >= 30 })
      let reply = try harness.call(
        "GetPrompt", Self.request(.abTest, subject: "s\(outside)", of: getPrompt(agentID: "b")))
      #expect(reply.status == RPCStatus(.keyNotFound, "no active prompt for agent_id \"b\""))
    }
  }

  @Test func aSubjectIsNeededAndVariantsAreThree() throws {
    try ServiceHarness.run(prompts: [prompt("p", agent: "a")]) { harness throws in
      let missing = try harness.call("GetPrompt", Self.request(.abTest, of: getPrompt(agentID: "a")))
      #expect(missing.status == RPCStatus.invalid("subject", "is empty"))
      let unknown = try harness.call("GetPrompt", getPrompt(agentID: "a").with(3, 4))
      #expect(unknown.status == RPCStatus.invalid("variant", "4 is not one of ACTIVE, STAGED, AB_TEST"))
      let long = try harness.call(
        "GetPrompt", Self.request(.abTest, subject: String(repeating: "s", count: 257), of: getPrompt(agentID: "a")))
      #expect(long.status.message == "subject: has 257 bytes; the limit is 256")
    }
  }
}
