// SPDX-License-Identifier: Apache-2.0
import CConfigLookupProto
import ChangeStreamCache
import ConfigLookupBSON
import Foundation
import ProtobufMessages
import Testing

@testable import ConfigModels

private func json<Message>(
  _ bytes: [UInt8],
  _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
) throws -> String {
  let arena = ProtobufArena()
  return try bytes.withUnsafeBytes { buffer in
    try arena.withUnpacked(buffer, by: unpack) { MessagePrinter().json($0) }
  }
}

@Suite struct EncodingTests {
  @Test func `an agent comes back as it was`() throws {
    let common = """
      {"id":"a:1.2.3","agent_id":"a","version":"1.2.3","type":"TYPE","status":"active","description":"d",\
      "input":{"event":"in","schema_json":"{ \\"type\\" : \\"object\\" }"},\
      "output":{"event":"out","schema_json":"[ \\"x\\" ]"},\
      "llm":{"model":"m","temperature":0.5,"max_tokens":100},"mcp_sources":[{"server":"s","tools":["t","u"]}],\
      "error_handling":{"max_attempts":4,"backoff_ms":["1","2"],"on_failure":"dead_letter","dead_letter_topic":"dead"},\
      "metadata":{"author":"me","created_at":"2026-01-09T00:00:00.250Z","updated_at":"2026-01-10T00:00:00Z",\
      "git_commit":"abc"},
      """
    let rag = "\"rag\":{\"query_template\":\"q\",\"knowledge_domains\":[\"k\"],\"top_k\":7,\"min_similarity\":0.25}"
    let arms = [
      """
      "extractor":{"extraction_schema_json":"{ \\"f\\" : 1 }",\
      "normalization_rules_json":"[ { \\"r\\" : 1 } ]"}}
      """,
      "\"explorer\":{\(rag)}}",
      "\"generator\":{\(rag),\"output_format\":\"json\"}}",
      """
      "conversational":{\(rag),"state":{"max_turns":6,"session_ttl_minutes":31,"checkpoint_backend":"mongodb",\
      "context_window":4},"intent_model":"i","response_model":"r"}}
      """,
      """
      "tiered_vision":{\(rag),"tiered_llm":{"screen":{"model":"s","temperature":0.3,"max_tokens":2000},\
      "diagnose":{"model":"d","temperature":2.0,"max_tokens":1}},"routing":{"screen_threshold":0.1,\
      "healthy_skip_threshold":0.2,"obvious_skip_threshold":0.3}}}
      """,
    ]
    let types = ["extractor", "explorer", "generator", "conversational", "tiered-vision"]
    for (index, document) in Documents.agents.enumerated() {
      let bytes = try #require(try read(document, as: AgentConfigDocument.self).encoded())
      let expected = common.replacing("TYPE", with: types[index]) + arms[index]
      #expect(try json(bytes, configlookup__v1__agent_config__unpack) == expected)
    }
  }

  @Test func `a prompt comes back as it was`() throws {
    let bytes = try #require(try read(Documents.prompt, as: PromptDocument.self).encoded())
    let expected = """
      {"id":"p:1.2.3","prompt_id":"p","agent_id":"a","version":"1.2.3","status":"active",\
      "content":{"system_prompt":"s","template":"{{t}}","output_schema_json":"{ \\"o\\" : 1 }",\
      "few_shot_examples_json":"[ 1 ]"},\
      "metadata":{"author":"me","created_at":"2026-01-09T00:00:00Z","updated_at":"2026-01-10T00:00:00Z",\
      "changelog":"c","git_commit":"abc"},\
      "ab_test":{"enabled":true,"traffic_percentage":30.0,"test_id":"t"}}
      """
    #expect(try json(bytes, configlookup__v1__prompt__unpack) == expected)
  }

  @Test func `a source comes back as it was`() throws {
    let bytes = try #require(try read(Documents.source, as: SourceConfigDocument.self).encoded())
    // The zeros of archive_ttl_days and schema_version are encoded, because they are members of a oneof.
    let expected = """
      {"source_id":"s","display_name":"n","description":"d","enabled":true,\
      "ingestion":{"mode":"blob_trigger","landing_container":"c","file_pattern":"*.json","file_format":"json",\
      "trigger_mechanism":"event_grid","processor_type":"p","provider":"v","schedule":"* * * * *",\
      "path_pattern":{"pattern":"r/{x}.json","extract_fields":["x"]},\
      "processed_file_config":{"action":"archive","archive_container":"ac","archive_ttl_days":0,\
      "processed_folder":"pf"},\
      "zip_config":{"manifest_file":"m","images_folder":"i","image_storage_container":"isc"},\
      "request":{"base_url":"u","auth_type":"oauth2","auth_secret_key":"k","parameters":{"a":"1","b":"2","c":"3"},\
      "timeout_seconds":31},\
      "iteration":{"foreach":"f","source_mcp":"m","source_tool":"t","tool_arguments_json":"{ \\"x\\" : 1 }",\
      "result_path":"rp","inject_linkage":["l"],"concurrency":6},"retry":{"max_attempts":4,"backoff":"linear"}},\
      "validation":{"schema_name":"sn","schema_version":0},\
      "transformation":{"ai_agent_id":"a","extract_fields":["e"],"link_field":"l","field_mappings":{"x":"1","y":"2"}},\
      "storage":{"raw_container":"rc","index_collection":"ic","file_container":"fc","file_path_pattern":"fpp",\
      "ttl_days":5},"events":{"on_success":{"topic":"ok","payload_fields":["p"]},"on_failure":{"topic":"no"}}}
      """
    #expect(try json(bytes, configlookup__v1__source_config__unpack) == expected)
  }

  @Test func `the order of a map's keys does not show`() throws {
    let one = try read(Documents.source, as: SourceConfigDocument.self).encoded()
    let shuffled = Documents.source
      .replacing("{\"b\": \"2\", \"a\": \"1\", \"c\": \"3\"}", with: "{\"c\": \"3\", \"b\": \"2\", \"a\": \"1\"}")
      .replacing("{\"y\": \"2\", \"x\": \"1\"}", with: "{\"x\": \"1\", \"y\": \"2\"}")
    #expect(shuffled != Documents.source)
    #expect(try read(shuffled, as: SourceConfigDocument.self).encoded() == one)
  }

  @Test func `a date that is absent is not set`() throws {
    for base in [Documents.explorer, Documents.prompt] {
      let isAgent = base == Documents.explorer
      for path in ["metadata.created_at", "metadata.updated_at"] {
        let document = try Documents.changed(base, path, to: nil)
        let text =
          isAgent
          ? try json(
            #require(read(document, as: AgentConfigDocument.self).encoded()), configlookup__v1__agent_config__unpack)
          : try json(#require(read(document, as: PromptDocument.self).encoded()), configlookup__v1__prompt__unpack)
        #expect(!text.contains(path.split(separator: ".")[1]))
        #expect(text.contains("_at\":\"2026-01-"), "the other date is there")
      }
    }
  }

  @Test func `how numbers and dates are stored does not show`() throws {
    let one = try read(Documents.prompt, as: PromptDocument.self).encoded()
    let percentage = try Documents.changed(
      Documents.prompt, "ab_test.traffic_percentage", to: "{\"$numberLong\": \"30\"}")
    #expect(try read(percentage, as: PromptDocument.self).encoded() == one)
    let date = try Documents.changed(
      Documents.prompt, "metadata.updated_at", to: "{\"$date\": \"2026-01-10T00:00:00Z\"}")
    #expect(try read(date, as: PromptDocument.self).encoded() == one)
  }

  @Test func `a NUL in a text is kept`() throws {
    let document = try Documents.changed(Documents.prompt, "content.template", to: "\"a\\u0000b\"")
    let bytes = try #require(try read(document, as: PromptDocument.self).encoded())
    #expect(try json(bytes, configlookup__v1__prompt__unpack).contains("\"template\":\"a\\u0000b\""))
  }

  @Test func `a date before 1970 has nanos that count forward`() throws {
    let document = try Documents.changed(Documents.prompt, "metadata.created_at", to: "\"1969-12-31T23:59:58.750Z\"")
    let bytes = try #require(try read(document, as: PromptDocument.self).encoded())
    #expect(
      try json(bytes, configlookup__v1__prompt__unpack).contains("\"created_at\":\"1969-12-31T23:59:58.750Z\""))
  }
}

@Suite struct StoredDocumentTests {
  @Test func `our own seed is good`() throws {
    try checkAll(in: Documents.root.appending(path: "deploy/seed"), agents: 5, prompts: 6, sources: 4)
    let prompts = try Documents.array(at: Documents.root.appending(path: "deploy/seed/prompts.json"))
      .map { try read($0, as: PromptDocument.self) }
    #expect(prompts.filter { $0.agentID == "disease-diagnosis" }.map(\.key.space) == [0, 1])
    let agents = try Documents.array(at: Documents.root.appending(path: "deploy/seed/agent_configs.json"))
      .map { try read($0, as: AgentConfigDocument.self) }
    #expect(Set(agents.map(\.kind.type)) == Set(AgentConfigDocument.AgentType.allCases))
    for agent in agents { #expect(prompts.contains { $0.agentID == agent.agentID && $0.status == .active }) }
  }

  @Test func `two sources of the seed share a container and are told apart`() throws {
    let sources = try Documents.array(at: Documents.root.appending(path: "deploy/seed/source_configs.json"))
      .map { try read($0, as: SourceConfigDocument.self).cachedValue }.filter { $0.container == "quality-events" }
    #expect(sources.count == 2)
    for path in ["results/f/w/b.json", "w/e.json"] {
      #expect(sources.count { source in Array(path.utf8).withUnsafeBytes { source.matches(path: $0) } } == 1)
    }
  }

  @Test func `the documents of a real deployment are good`() throws {
    try checkAll(in: Documents.root.appending(path: "Tests/Fixtures/stored"), agents: 3, prompts: 3, sources: 5)
  }

  /// Documents as people write them, before a tool has stored them: without `_id`, and sources without `enabled`.
  @Test func `the documents that people write are good`() throws {
    let folder = Documents.root.appending(path: "Tests/Fixtures/authored")
    try check(folder.appending(path: "agent_configs.json"), AgentConfigDocument.self, count: 3)
    try check(folder.appending(path: "prompts.json"), PromptDocument.self, count: 3)
    try check(folder.appending(path: "source_configs.json"), SourceConfigDocument.self, count: 3, areInForce: false)
  }

  /// The filter applies to the stored document, so a source without `enabled` is not in force. The document itself is
  /// valid.
  @Test func `a source without enabled is read as enabled`() throws {
    let bare = try Documents.changed(Documents.source, "enabled", to: nil)
    #expect(try read(bare, as: SourceConfigDocument.self).enabled)
    #expect(!bare.withObject { SourceConfigDocument.filter.matches($0) })
  }

  private func checkAll(in folder: URL, agents: Int, prompts: Int, sources: Int) throws {
    try check(folder.appending(path: "agent_configs.json"), AgentConfigDocument.self, count: agents)
    try check(folder.appending(path: "prompts.json"), PromptDocument.self, count: prompts)
    try check(folder.appending(path: "source_configs.json"), SourceConfigDocument.self, count: sources)
  }

  private func check<Model: CachedModel>(_ file: URL, _ type: Model.Type, count: Int, areInForce: Bool = true) throws {
    let documents = try Documents.array(at: file)
    #expect(documents.count == count)
    for document in documents {
      #expect(document.withObject { Model.filter.matches($0) } == areInForce)
      #expect(problem(document, as: type) == nil)
      #expect(try read(document, as: type).encoded()?.isEmpty == false)
    }
  }
}
