// SPDX-License-Identifier: Apache-2.0
import CConfigLookupProto
import Testing

@testable import ProtobufMessages

@Suite struct ProtobufWriterTests {
  @Test(
    arguments: [
      0, 1, 127, 128, 300, 16_383, 16_384, UInt64(UInt32.max), 1 << 63, UInt64.max,
    ] as [UInt64])
  func `metadata as protobuf-c writes it`(_ number: UInt64) {
    let etag = String(repeating: "é", count: Int(number % 200))
    let arena = ProtobufArena()
    let message = arena.make(configlookup__v1__lookup_metadata__init) {
      $0.revision = number
      $0.etag = arena.bytes(etag)
      $0.not_modified = number % 2 == 0 ? 1 : 0
      $0.stale = number % 3 == 0 ? 1 : 0
      $0.age_ms = number / 3
      $0.max_age_seconds = UInt32(truncatingIfNeeded: number)
      $0.observed_revision = number &+ 1
      $0.epoch = arena.bytes("epoch")
    }
    var written: [UInt8] = []
    ProtobufWriter.unsigned(1, number, to: &written)
    ProtobufWriter.string(2, etag, to: &written)
    ProtobufWriter.bool(3, number % 2 == 0, to: &written)
    ProtobufWriter.bool(4, number % 3 == 0, to: &written)
    ProtobufWriter.unsigned(5, number / 3, to: &written)
    ProtobufWriter.unsigned(6, UInt64(UInt32(truncatingIfNeeded: number)), to: &written)
    ProtobufWriter.unsigned(7, number &+ 1, to: &written)
    ProtobufWriter.bytes(8, Array("epoch".utf8), to: &written)
    #expect(withExtendedLifetime(arena) { ProtobufArena.pack(message) } == written)

    let outer = arena.make(configlookup__v1__get_agent_config_response__init) { $0.metadata = message }
    var nested: [UInt8] = []
    ProtobufWriter.message(2, to: &nested) { $0.append(contentsOf: written) }
    var prefixed: [UInt8] = []
    ProtobufWriter.lengthPrefix(2, written.count, to: &prefixed)
    #expect(prefixed.count + written.count == ProtobufWriter.lengthPrefixedSize(2, written.count))
    #expect(nested == prefixed + written)
    #expect(withExtendedLifetime(arena) { ProtobufArena.pack(outer) } == nested)
  }

  @Test(arguments: [0, 0.5, -1, 1e300, -0.0, .infinity] as [Double])
  func `doubles and negative numbers`(_ number: Double) {
    let arena = ProtobufArena()
    let status = arena.make(configlookup__v1__cache_status__init) { $0.cache_age_seconds = number }
    var written: [UInt8] = []
    ProtobufWriter.double(2, number, to: &written)
    #expect(ProtobufArena.pack(status) == written)

    let retry = arena.make(configlookup__v1__retry_config__init) { $0.max_attempts = -3 }
    var signed: [UInt8] = []
    ProtobufWriter.signed(1, -3, to: &signed)
    #expect(withExtendedLifetime(arena) { ProtobufArena.pack(retry) } == signed)
  }

  @Test func `the size of a varint is what is written`() {
    for shift in 0..<64 {
      for number in [UInt64(1) << shift, (UInt64(1) << shift) - 1] {
        var out: [UInt8] = []
        ProtobufWriter.varint(number, to: &out)
        #expect(out.count == ProtobufWriter.varintSize(number))
      }
    }
  }

  @Test func `a long field number takes a long tag`() {
    var out: [UInt8] = []
    ProtobufWriter.bool(16, true, to: &out)
    #expect(out == [0x80, 0x01, 0x01])
  }
}

@Suite struct ProtobufArenaTests {
  /// The encoded message `{agent_id: "a\0b"}`, followed by `rest`.
  private func request(_ rest: [UInt8] = []) -> [UInt8] { [0x0A, 3, 0x61, 0, 0x62] + rest }

  private func agentID(_ bytes: [UInt8], _ arena: ProtobufArena, limit: Int = ProtobufArena.requestLimit) throws
    -> String?
  {
    try bytes.withUnsafeBytes { buffer in
      try arena.withUnpacked(buffer, by: configlookup__v1__get_agent_config_request__unpack, limit: limit) {
        $0.pointee.agent_id.text
      }
    }
  }

  @Test func `a request is read, NUL and all, and its memory is used again`() throws {
    let arena = ProtobufArena()
    for _ in 0..<10_000 { #expect(try agentID(request(), arena) == "a\0b") }
    #expect(arena.chunkCount == 1)
    #expect(arena.bytesInUse == 0)
  }

  @Test func `a request within another keeps the outer one`() throws {
    let arena = ProtobufArena()
    let text = try request().withUnsafeBytes { buffer in
      try arena.withUnpacked(buffer, by: configlookup__v1__get_agent_config_request__unpack) { outer in
        _ = try agentID(request(), arena)
        _ = arena.bytes(String(repeating: "x", count: 100_000))
        return outer.pointee.agent_id.text
      }
    }
    #expect(text == "a\0b")
    #expect(arena.bytesInUse == 0)
    #expect(arena.chunkCount == 1)
  }

  @Test(
    arguments: [[0x0A], [0x0A, 5, 0x61], [0x08], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x12, 1, 0xFF]] as [[UInt8]])
  func `what does not parse is an error`(_ bytes: [UInt8]) {
    let arena = ProtobufArena()
    #expect(throws: ProtobufError.malformed) { try agentID(bytes, arena) }
    #expect(arena.bytesInUse == 0)
  }

  @Test func `no bytes are an empty message`() throws {
    #expect(try agentID([], ProtobufArena()) == "")
  }

  @Test func `a bomb of unknown fields is refused`() throws {
    let arena = ProtobufArena()
    // Field 15 as a varint: each takes 2 bytes of the request, and at least 24 bytes of memory.
    let bomb = [UInt8](repeating: 0, count: 60_000).enumerated().map { $0.offset % 2 == 0 ? UInt8(15 << 3) : 1 }
    #expect(throws: ProtobufError.tooLarge(limit: ProtobufArena.requestLimit)) { try agentID(bomb, arena) }
    #expect(arena.bytesInUse == 0)
    #expect(arena.chunkCount == 1)
    #expect(try agentID(request(), arena) == "a\0b")
    #expect(try agentID(Array(bomb.prefix(2000)) + request(), arena) == "a\0b")
    #expect(throws: ProtobufError.tooLarge(limit: 100)) {
      try agentID(request(Array(bomb.prefix(100))), arena, limit: 100)
    }
  }

  @Test func `one field that is large is read if the limit allows`() throws {
    let arena = ProtobufArena()
    var bytes: [UInt8] = []
    ProtobufWriter.string(1, String(repeating: "x", count: 500_000), to: &bytes)
    #expect(try agentID(bytes, arena)?.utf8.count == 500_000)
    #expect(arena.chunkCount == 1)
    #expect(throws: ProtobufError.tooLarge(limit: 400_000)) { try agentID(bytes, arena, limit: 400_000) }
  }

  @Test func `what is made does not overlap and is aligned`() {
    let arena = ProtobufArena()
    var places: [(UnsafeMutableRawPointer, UInt8)] = []
    for index in 0..<2000 {
      let data = arena.bytes([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 1 + index % 50))
      guard let start = data.data else { continue }
      places.append((UnsafeMutableRawPointer(start), UInt8(truncatingIfNeeded: index)))
      #expect(UInt(bitPattern: start) % 16 == 0)
    }
    for (index, (start, value)) in places.enumerated() {
      for offset in 0..<(1 + index % 50) { #expect(start.load(fromByteOffset: offset, as: UInt8.self) == value) }
    }
    arena.reset()
    #expect(arena.chunkCount == 1)
  }
}

@Suite struct MessagePrinterTests {
  private func notice(_ arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__InvalidationNotice> {
    arena.make(configlookup__v1__invalidation_notice__init) {
      $0.kind = CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT
      $0.key = arena.bytes("a\u{1b}[31m\"\\")
      $0.revision = .max
      $0.committed_at = arena.make(google__protobuf__timestamp__init) {
        $0.seconds = 1_767_916_800
        $0.nanos = 1000
      }
      $0.value_case = CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_PROMPT
      $0.prompt = arena.make(configlookup__v1__prompt__init) {
        $0.content = arena.make(configlookup__v1__prompt_content__init) {
          $0.system_prompt = arena.bytes("first\n\u{9b}2J\tlast\u{202e}\r\n")
          $0.output_schema_json = arena.bytes("{ \"a\" : [ 1, { } ], \"b\" : \"x, \\\" {y}\" }")
          $0.few_shot_examples_json = arena.bytes("[" + String(repeating: "1, ", count: 29) + "\"\u{7f}\"]")
        }
      }
    }
  }

  @Test func `JSON is one line, and escapes`() {
    let arena = ProtobufArena()
    let json = withExtendedLifetime(arena) { MessagePrinter().json(notice(arena)) }
    let numbers = String(repeating: "1, ", count: 29)
    #expect(
      json == """
        {"kind":"NOTICE_KIND_UPSERT","key":"a\\u001b[31m\\"\\\\","revision":"18446744073709551615",\
        "committed_at":"2026-01-09T00:00:00.000001Z","prompt":{"content":{\
        "system_prompt":"first\\n\\u009b2J\\tlast\\u202e\\r\\n",\
        "output_schema_json":"{ \\"a\\" : [ 1, { } ], \\"b\\" : \\"x, \\\\\\" {y}\\" }",\
        "few_shot_examples_json":"[\(numbers)\\"\\u007f\\"]"}}}
        """)
  }

  @Test func `text is for people, and cannot steer a terminal`() {
    let arena = ProtobufArena()
    let text = withExtendedLifetime(arena) { MessagePrinter().text(notice(arena)) }
    let numbers = String(repeating: "        1,\n", count: 29)
    #expect(
      text == """
        kind: NOTICE_KIND_UPSERT
        key: a\\u{1b}[31m"\\
        revision: 18446744073709551615
        committed_at: 2026-01-09T00:00:00.000001Z
        prompt:
          content:
            system_prompt: |
              first
              \\u{9b}2J\tlast\\u{202e}\\u{d}

            output_schema_json: { "a": [ 1, {} ], "b": "x, \\" {y}" }
            few_shot_examples_json: |
              [
        \(numbers)        "\\u{7f}"
              ]

        """)
  }

  @Test func `lists, maps and defaults`() {
    let arena = ProtobufArena()
    let status = arena.make(configlookup__v1__cache_status__init) {
      $0.cache_age_seconds = .nan
      $0.n_rejected = 2
      $0.rejected = arena.pointers(
        ["x", ""].map { id in
          arena.make(configlookup__v1__rejected_document__init) {
            $0.item_id = arena.bytes(id)
            $0.problem = arena.bytes("p")
          }
        })
    }
    let request = arena.make(configlookup__v1__request_config__init) {
      $0.n_parameters = 2
      $0.parameters = arena.pointers(
        [("k", "v"), ("l", "")].map { pair in
          arena.make(configlookup__v1__map_entry__init) {
            $0.key = arena.bytes(pair.0)
            $0.value = arena.bytes(pair.1)
          }
        })
    }
    let reply = arena.make(configlookup__v1__invalidate_cache_response__init) {
      $0.n_entities = 2
      $0.entities = arena.values([CONFIGLOOKUP__V1__ENTITY__ENTITY_PROMPT, Configlookup__V1__Entity(rawValue: 77)])
    }
    withExtendedLifetime(arena) {
      #expect(
        MessagePrinter().json(status)
          == "{\"cache_age_seconds\":\"NaN\",\"rejected\":[{\"item_id\":\"x\",\"problem\":\"p\"},{\"problem\":\"p\"}]}")
      #expect(
        MessagePrinter().text(status) == """
          cache_age_seconds: NaN
          rejected:
            - item_id: x
              problem: p
            - problem: p

          """)
      #expect(MessagePrinter().json(request) == "{\"parameters\":{\"k\":\"v\",\"l\":\"\"}}")
      #expect(MessagePrinter().text(request) == "parameters:\n  k: v\n  l: \"\"\n")
      #expect(
        MessagePrinter(includesDefaults: true).json(request) == """
          {"base_url":"","auth_type":"","auth_secret_key":"","parameters":{"k":"v","l":""},"timeout_seconds":0}
          """)
      #expect(MessagePrinter().json(reply) == "{\"entities\":[\"ENTITY_PROMPT\",77]}")
      #expect(MessagePrinter().text(reply) == "entities:\n  - ENTITY_PROMPT\n  - 77\n")
      let source = arena.make(configlookup__v1__get_source_config_response__init) { _ in }
      #expect(MessagePrinter(includesDefaults: true).json(source) == "{\"other_source_ids\":[]}")
      #expect(MessagePrinter(includesDefaults: true).text(source) == "other_source_ids: []\n")
      #expect(MessagePrinter().text(source) == "")
    }
  }

  @Test(
    arguments: [
      (0, 0, "1970-01-01T00:00:00Z"), (-1, 999_000_000, "1969-12-31T23:59:59.999Z"),
      (951_868_799, 1, "2000-02-29T23:59:59.000000001Z"), (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
      (253_402_300_799, 0, "9999-12-31T23:59:59Z"), (253_402_300_800, 0, "253402300800s"),
      (.max, 0, "9223372036854775807s"),
      (0, -1, "0s"),
    ] as [(Int64, Int32, String)])
  func `timestamps`(_ seconds: Int64, _ nanoseconds: Int32, _ expected: String) {
    #expect(rfc3339(seconds: seconds, nanoseconds: nanoseconds) == expected)
  }
}
