// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigLookupBSON
import ConfigModels
import Testing

@Suite struct PromptTests {
  @Test(arguments: [
    Rule("id", nil, "id: is missing"), Rule("id", "\"a:1.2.3\"", "id: does not have the form {prompt_id}:{version}"),
    Rule("prompt_id", "\"\"", "prompt_id: is empty"), Rule("prompt_id", nil, "prompt_id: is missing"),
    Rule("prompt_id", long, "prompt_id: is longer than 256 bytes"),
    Rule("agent_id", "\"\"", "agent_id: is empty"), Rule("agent_id", nil, "agent_id: is missing"),
    Rule("agent_id", "\"\\u0000\"", "agent_id: contains a NUL byte"),
    Rule("agent_id", long, "agent_id: is longer than 256 bytes"),
    Rule("version", "\"1\"", notAVersion), Rule("status", nil, nil), Rule("status", "\"staged\"", nil),
    Rule("status", "[\"active\"]", "status: is an array, not a string"),
    Rule("status", "\"on\"", "status: must be one of draft, staged, active, archived"),
    Rule("content", nil, "content: is missing"),
    Rule("content.system_prompt", nil, "content.system_prompt: is missing"),
    Rule("content.template", "7", "content.template: is an int32, not a string"),
    Rule("content.output_schema", nil, nil), Rule("content.output_schema", "null", nil),
    Rule("content.output_schema", "[]", "content.output_schema: is an array, not an object"),
    Rule("content.few_shot_examples", nil, nil),
    Rule("content.few_shot_examples", "{}", "content.few_shot_examples: is an object, not an array"),
    Rule("metadata", nil, "metadata: is missing"), Rule("metadata.author", nil, "metadata.author: is missing"),
    Rule("metadata.created_at", nil, nil),
    Rule("metadata.updated_at", "\"2026-02-30\"", "metadata.updated_at: is not an ISO 8601 date"),
    Rule("metadata.changelog", nil, nil),
    Rule("metadata.changelog", "1", "metadata.changelog: is an int32, not a string"),
    Rule("metadata.git_commit", "1", "metadata.git_commit: is an int32, not a string"),
    Rule("ab_test", nil, nil), Rule("ab_test", "null", nil), Rule("ab_test", "{}", nil),
    Rule("ab_test", "true", "ab_test: is a bool, not an object"),
    Rule("ab_test.enabled", "\"yes\"", "ab_test.enabled: is a string, not a bool"),
    Rule("ab_test.traffic_percentage", "100", nil),
    Rule("ab_test.traffic_percentage", "100.5", "ab_test.traffic_percentage: 100.5 is above 100.0"),
    Rule("ab_test.traffic_percentage", "-1", "ab_test.traffic_percentage: -1.0 is below 0.0"),
    Rule("ab_test.test_id", "1", "ab_test.test_id: is an int32, not a string"),
  ])
  func `a rule`(_ rule: Rule) throws {
    let document = try Documents.changed(Documents.prompt, rule.path, to: rule.value)
    #expect(problem(document, as: PromptDocument.self) == rule.problem)
  }

  @Test func `an active prompt and a staged one are two answers`() throws {
    let active = try read(Documents.prompt, as: PromptDocument.self)
    #expect(active.key == LookupKey("a", space: 0))
    #expect(active.aliases == [LookupKey("p", space: 2), LookupKey("a\0p", space: 4)])
    #expect(active.listKey == LookupKey("a\0p", space: 4))
    #expect(active.listings == [""])

    let staged = try read(Documents.changed(Documents.prompt, "status", to: "\"staged\""), as: PromptDocument.self)
    #expect(staged.key == LookupKey("a", space: 1))
    #expect(staged.aliases == [LookupKey("p", space: 3)])
    #expect(staged.listings.isEmpty)
    #expect(staged.cachedValue.id == "p:1.2.3")
    #expect(staged.cachedValue.abTest == ABTest(enabled: true, trafficPercentage: 30, testID: "t"))
    #expect((0...4).map { PromptDocument.variant(ofSpace: $0) ?? "" } == ["", "staged", "", "staged", ""])
  }

  @Test func `defaults`() throws {
    let prompt = try read(Documents.changed(Documents.prompt, "ab_test", to: nil), as: PromptDocument.self)
    #expect(prompt.abTest == ABTest(enabled: false, trafficPercentage: 0, testID: nil))
  }

  @Test func `the filter takes active and staged`() throws {
    for (status, expected) in [("active", true), ("staged", true), ("draft", false), ("archived", false)] {
      let document = try BSONDocument(json: "{\"status\": \"\(status)\"}")
      #expect(document.withObject { PromptDocument.filter.matches($0) } == expected)
    }
  }
}

@Suite struct ABTestTests {
  /// Test vectors from another implementation of XXH3. They must never change, because that would reassign the subjects
  /// of tests in progress.
  @Test(arguments: [
    ("", "", 76.678275783279631), ("diagnosis-wording", "farmer-1", 98.558531152150309),
    ("diagnosis-wording", "farmer-2", 6.8074177640917171), ("disease-diagnosis:1.1.0", "WM-4521", 75.51377881554825),
    ("t", "\u{e9}", 67.905592437106975),
    (
      "a-test-with-a-long-name-that-passes-the-short-inputs-of-the-hash",
      "session-" + String(repeating: "0123456789abcdef", count: 11), 83.879093419931309
    ),
  ])
  func `points are for ever`(_ testID: String, _ subject: String, _ point: Double) {
    #expect(ABTest.point(subject: subject, testID: testID) == point)
  }

  @Test func `traffic is shared out as asked, and apart for each test`() {
    let test = ABTest(enabled: true, trafficPercentage: 30, testID: "one")
    let other = ABTest(enabled: true, trafficPercentage: 30, testID: "two")
    let subjects = (0..<20_000).map { "farmer-\($0)" }
    let first = subjects.filter { test.servesStaged(to: $0, promptID: "p") }
    let both = first.filter { other.servesStaged(to: $0, promptID: "p") }
    #expect((5_700...6_300).contains(first.count))
    #expect((1_600...2_000).contains(both.count))
  }

  @Test func `who is under 30 stays under 60`() {
    let narrow = ABTest(enabled: true, trafficPercentage: 30, testID: "t")
    let wide = ABTest(enabled: true, trafficPercentage: 60, testID: "t")
    for subject in (0..<2000).map(String.init) where narrow.servesStaged(to: subject, promptID: "p") {
      #expect(wide.servesStaged(to: subject, promptID: "p"))
    }
  }

  @Test func `none, all, off, and a test without a name`() {
    for subject in (0..<200).map(String.init) {
      #expect(!ABTest(enabled: true, trafficPercentage: 0, testID: "t").servesStaged(to: subject, promptID: "p"))
      #expect(ABTest(enabled: true, trafficPercentage: 100, testID: "t").servesStaged(to: subject, promptID: "p"))
      #expect(!ABTest(enabled: false, trafficPercentage: 100, testID: "t").servesStaged(to: subject, promptID: "p"))
    }
    #expect(ABTest(enabled: true, trafficPercentage: 50, testID: nil).name(promptID: "p:1.0.0") == "p:1.0.0")
    #expect(ABTest(enabled: true, trafficPercentage: 50, testID: "").name(promptID: "p:1.0.0") == "p:1.0.0")
  }
}
