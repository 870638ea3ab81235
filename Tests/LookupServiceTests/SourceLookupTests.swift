// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
internal import LookupService
internal import TestSupport
internal import Testing

/// Several sources under one key, and the source to which a blob belongs.
struct SourceLookupTests {
  private func ids(_ reply: ServiceHarness.Reply) throws -> [String] {
    reply.code == .ok ? [try reply.message.message(1).text(1)] + reply.message.texts(3) : []
  }

  @Test func allSourcesOfAContainerInOrder() throws {
    try ServiceHarness.run(sources: [
      source("b", id: "1", container: "c", agent: "x"), source("a", id: "2", container: "c"),
      source("B", id: "9", container: "c"), source("aa", id: "3", container: "c", agent: "x"),
      source("pulled", container: "c", mode: "scheduled_pull"), source("off", container: "c", enabled: false),
      source("elsewhere", container: "d"),
    ]) { harness throws in
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(container: "c"))) == ["B", "a", "aa", "b"])
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(agentID: "x"))) == ["aa", "b"])
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(sourceID: "a"))) == ["a"])
      harness[.sourceConfig].delete("9")
      try harness.settle()
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(container: "c"))) == ["a", "aa", "b"])
    }
  }

  @Test func aDocumentThatLosesItsSourceIDDoesNotCount() throws {
    // Of two documents with one source_id, the greater `_id` wins.
    try ServiceHarness.run(sources: [
      source("s", id: "1", container: "old", agent: "x"), source("s", id: "2", container: "new"),
      source("t", id: "3", container: "old"),
    ]) { harness throws in
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(container: "old"))) == ["t"])
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(container: "new"))) == ["s"])
      #expect(try harness.call("GetSourceConfig", getSourceConfig(agentID: "x")).code == .notFound)
      #expect(try ids(harness.call("ResolveBlob", resolveBlob("old", "f"))) == ["t"])
      harness[.sourceConfig].delete("2")
      try harness.settle()
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(container: "old"))) == ["s", "t"])
      #expect(try ids(harness.call("GetSourceConfig", getSourceConfig(agentID: "x"))) == ["s"])
      #expect(try harness.call("GetSourceConfig", getSourceConfig(container: "new")).code == .notFound)
    }
  }

  @Test func aBlobIsOfThePatternWithMostLiterals() throws {
    try ServiceHarness.run(sources: [
      source("any", container: "c"),
      source("wide", container: "c", pattern: "{x}/{y}.json", fields: "[\"x\", \"y\"]"),
      source("narrow", container: "c", pattern: "results/{y}.json", fields: "[\"y\"]"),
      source("zip", container: "c", pattern: "results/{y}", filePattern: "*.zip"),
    ]) { harness throws in
      func resolve(_ path: String) throws -> (String, [String]) {
        let reply = try harness.call("ResolveBlob", resolveBlob("c", path))
        let fields = try reply.message.messages(3).map { "\($0.text(1))=\($0.text(2))" }
        return (try reply.message.message(1).text(1), fields)
      }
      #expect(try resolve("results/7.json") == ("narrow", ["y=7"]))
      #expect(try resolve("other/7.json") == ("wide", ["x=other", "y=7"]))
      #expect(try resolve("results/7.zip") == ("zip", []))
      #expect(try resolve("results/7.txt") == ("any", []))
    }
  }

  @Test func amongEqualsTheLowerSourceIDWins() throws {
    try ServiceHarness.run(sources: [
      source("b", id: "1", container: "c", pattern: "r/{x}.json"),
      source("a", id: "2", container: "c", pattern: "{y}/r.json"),
      source("c", id: "3", container: "c", pattern: "r/{z}.json"),
    ]) { harness throws in
      let reply = try harness.call("ResolveBlob", resolveBlob("c", "r/r.json"))
      #expect(try reply.message.message(1).text(1) == "a")
      #expect(try harness.call("ResolveBlob", resolveBlob("c", "r/q.json")).message.message(1).text(1) == "b")
    }
  }

  /// The index finds the same source as a linear search.
  @Test func theIndexOfAContainerFindsTheBestOfAllMatches() throws {
    var random = SeededRandom.fresh("theIndexOfAContainerFindsTheBestOfAllMatches")
    let parts = ["a", "b", "{p}", "a{p}", "{p}a", "a{p}b", "{p}-{q}", "é{p}", "ab"]
    let globs: [String?] = [nil, nil, "*", "*.a", "a*", "a?b*", "[ab]*", "b", "*b*"]
    var sources: [(id: String, pattern: String?, glob: String?)] = []
    for number in 0..<80 {
      let components = (0..<(1 + random.below(3))).map { level in
        parts[random.below(parts.count)].replacing("{p}", with: "{p\(level)}").replacing("{q}", with: "{q\(level)}")
      }
      sources.append(
        (
          "s\(number)", random.once(in: 8) ? nil : components.joined(separator: "/"), globs[random.below(globs.count)]
        ))
    }
    let names = ["a", "b", "ab", "aab", "ba", "a-b", "aé", "éa", "x.a", "a.b", "-", ""]
    let documents = sources.map {
      source($0.id, container: "c", pattern: $0.pattern, filePattern: $0.glob)
    }
    let compiled = sources.sorted { $0.id < $1.id }.map { source in
      (source.id, source.pattern.flatMap { PathPattern($0) }, source.glob.map { Glob($0) })
    }
    try ServiceHarness.run(sources: documents) { harness throws in
      for _ in 0..<2000 {
        let path = (0..<(1 + random.below(3))).map { _ in names[random.below(names.count)] }.joined(separator: "/")
        guard !path.isEmpty else { continue }
        var best: (id: String, literals: Int)?
        for (id, pattern, glob) in compiled {
          let matches = Array(path.utf8).withUnsafeBytes { bytes in
            (pattern?.matches(bytes) ?? true) && (glob?.matchesLastComponent(of: bytes) ?? true)
          }
          if matches, pattern?.literalCount ?? 0 > best?.literals ?? -1 { best = (id, pattern?.literalCount ?? 0) }
        }
        let reply = try harness.call("ResolveBlob", resolveBlob("c", path))
        #expect((reply.code == .ok ? try reply.message.message(1).text(1) : nil) == best?.id, "\(path)")
      }
    }
  }

  @Test func noMatchNamesTheBlob() throws {
    try ServiceHarness.run(sources: [source("s", container: "c", pattern: "r/{x}.json", filePattern: "*.json")]) {
      harness throws in
      for path in ["other/1.json", "r/1.zip", "r/.json"] {
        let reply = try harness.call("ResolveBlob", resolveBlob("c", path))
        #expect(
          reply.status
            == RPCStatus(.keyNotFound, "no enabled source config for a blob \"\(path)\" in container \"c\""))
      }
    }
  }

  /// gRPC sends the message twice in the headers of the reply, which many clients limit to 8 KiB.
  @Test func aLongPathIsShortInTheMessage() throws {
    try ServiceHarness.run(sources: [source("s", container: "c", pattern: "r/{x}.json")]) { harness throws in
      let path = String(repeating: "€", count: 1000)
      let status = try harness.call("ResolveBlob", resolveBlob("c", path)).status
      #expect(status.reason == .keyNotFound && status.message.utf8.count < 700)
      #expect(status.message.contains("\"\(String(repeating: "€", count: 170))...\" (3000 bytes) in container \"c\""))
    }
  }

  /// A container that has a source before and after each change has one during the change, too.
  @Test func aSourceThatChangesIsFoundByItsContainerAllTheWhile() throws {
    try ServiceHarness.run(sources: [source("s0", id: "1", container: "c", agent: "x")]) { harness throws in
      let misses = Locked(0)
      let isOver = Locked(false)
      let writes = OSThread(name: "writer") { [store = harness[.sourceConfig]] in
        for number in 1...3000 {
          // The content and the source_id change in turn.
          let json = source(
            "s\(number / 2 % 5)", id: "1", container: "c", agent: "x", description: "v\(number)")
          _ = try? store.put(json)
        }
        isOver.withLock { $0 = true }
      }
      var looks = 0
      while !isOver.withLock({ $0 }) || harness.reader(.sourceConfig).observedRevision < harness[.sourceConfig].now {
        looks += 1
        for request in [getSourceConfig(container: "c"), getSourceConfig(agentID: "x")] {
          if try harness.call("GetSourceConfig", request).code != .ok { misses.withLock { $0 += 1 } }
        }
      }
      writes.join()
      #expect(misses.withLock { $0 } == 0, "of \(looks) looks")
    }
  }
}
