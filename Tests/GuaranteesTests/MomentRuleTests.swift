// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees
internal import Testing

/// Tests that what is shown together is of one time: documents with the same key, keys with the same revision, and
/// replies that combine several answers.
struct MomentRuleTests {
  /// Two documents of one key are swapped in one transaction: neither none nor both of them was ever the state.
  @Test func documentsThatTakeTurnsAreNotMissing() {
    var story = Story("source_config:x")
    story.validator.history.set("source_config:x", document: "a", .label("A"), at: at(10))
    story.validator.history.set("source_config:x", document: "a", .nothing, at: at(20))
    story.validator.history.set("source_config:x", document: "b", .label("B"), at: at(20))
    story.lookUp("A", "source_config:x", observed: 10, revision: 10)
    story.lookUp("B", "source_config:x", observed: 10, revision: 20)
    #expect(story.broken == [])
    story = Story("source_config:x")
    story.validator.history.set("source_config:x", document: "a", .label("A"), at: at(10))
    story.validator.history.set("source_config:x", document: "a", .nothing, at: at(20))
    story.validator.history.set("source_config:x", document: "b", .label("B"), at: at(20))
    story.lookUp("A", "source_config:x", observed: 10, revision: 10)
    story.lookUp(nil, "source_config:x", observed: 10)
    #expect(story.broken == [.neverBack, .asOfWhen])
  }

  @Test func keysOfOneTransactionChangeTogether() {
    for (label, isRight) in [("B", true), ("A", false)] {
      var story = Story("prompt:x", "A", "B")
      story.validator.history.set("prompt.prompt_id:p", .label("P"), at: at(10))
      story.validator.history.set("prompt.prompt_id:p", .label("Q"), at: at(20))
      story.lookUp("Q", "prompt.prompt_id:p", observed: 19, revision: 20)
      story.lookUp(label, observed: 19)
      #expect(story.broken == (isRight ? [] : [.asOfWhen]), "\(label)")
    }
  }

  @Test func otherEntitiesAndOtherServersGoTheirOwnWay() {
    var story = Story("agent_config:x", "A", "B")
    story.validator.history.set("prompt:x", .label("P"), at: at(20))
    story.validator.started("two", at: .none)
    story.validator.mayBeWarm("two")
    story.lookUp("P", "prompt:x", observed: 19, revision: 20)
    story.lookUp("A", "agent_config:x", observed: 19)
    story.lookUp(nil, "prompt:x", of: "two", observed: 19)
    #expect(story.broken == [])
  }

  @Test func aNoticeOfOneKeyShowsTheOthersOfItsRevision() {
    var story = Story("prompt:x", "A", "B")
    story.validator.history.set("prompt.prompt_id:p", .label("Q"), at: at(20))
    story.watch()
    story.progress(10)
    story.upsert("B", 20)
    story.lookUp(nil, "prompt.prompt_id:p", observed: 19)
    #expect(story.broken == [.asOfWhen])
  }

  // MARK: Answers of several documents

  private func sources() -> Story {
    var story = Story("agent_config:x")
    let key = "source_config.container:c"
    story.validator.history.set(key, members: [Member("s1", "A"), Member("s2", "B")], at: at(10))
    story.validator.history.set(key, members: [Member("s1", "A"), Member("s2", "C")], at: at(20))
    story.validator.history.set(key, members: [Member("s2", "C")], at: at(30))
    story.validator.history.set(key, members: [], at: at(40))
    return story
  }

  private func look(
    _ story: inout Story, _ label: String?, _ others: [String], at revision: UInt64, client: Bool = false
  ) {
    var lookup = Lookup("source_config.container:c", of: "one")
    lookup.client = client ? "c" : nil
    var reply = LookupReply(
      label.map { .found(label: $0, etag: "#\($0)", revision: at(revision)) } ?? .notFound)
    (reply.others, reply.observed, reply.epoch) = (others, at(10), "e")
    story.validator.answered(story.validator.ask(lookup), reply)
  }

  @Test func aContainerAnswersWithAllItsSources() {
    var story = sources()
    look(&story, "A", ["s2"], at: 10)
    look(&story, "A", ["s2"], at: 20)
    look(&story, "C", [], at: 30)
    look(&story, nil, [], at: 0)
    #expect(story.broken == [])
    for (label, others, revision) in [("A", [], 10), ("C", ["s2"], 20), ("A", ["s2"], 30)]
      as [(String, [String], UInt64)]
    {
      var story = sources()
      look(&story, label, others, at: revision)
      #expect(story.broken == [.asOfWhen], "\(label) \(others) \(revision)")
    }
    story = sources()
    look(&story, "A", ["s2"], at: 20)
    look(&story, "A", ["s2"], at: 10)
    #expect(story.broken == [.neverBack])
  }

  /// Two answers can look the same while the time of a write is unknown. The validator then requires the earlier one.
  @Test func whatMayBeTwoAnswersIsTakenForTheEarlierOne() {
    let key = "source_config.container:c"
    for isAcknowledged in [false, true] {
      var story = Story("agent_config:x")
      story.validator.history.set(key, members: [Member("s1", "A")], at: at(10))
      let attempt = story.validator.history.attempt(key, members: [Member("s1", "A"), Member("s2", "B")])
      if isAcknowledged { story.validator.history.acknowledge(attempt, by: at(20)) }
      story.watch()
      story.progress(10)
      story.upsert("A", 20, key: key)
      story.validator.history.acknowledge(attempt, by: at(30))
      look(&story, "A", [], at: 10)
      #expect(story.broken == (isAcknowledged ? [.noticeAfterTheFact] : []))
    }
  }

  @Test func aMemberThatIsNotTheFirstIsAnnounced() {
    for isTold in [true, false] {
      var story = sources()
      story.watch()
      story.progress(10)
      look(&story, "A", ["s2"], at: 10, client: true)
      story.progress(19)
      if isTold { story.upsert("A", 20, key: "source_config.container:c") }
      story.progress(29)
      #expect(story.broken == (isTold ? [] : [.nothingLost]))
    }
  }

  @Test func aContainerNoticeOfWhatWasNotSo() {
    var story = sources()
    story.watch()
    story.progress(10)
    story.upsert("A", 31, key: "source_config.container:c")
    #expect(story.broken == [.nothingLost])
  }

  @Test func theOthersOfAReplyAreOfItsMoment() {
    for (others, isRight) in [(["p2"], true), ([], false), (["p2", "p3"], false)] as [([String], Bool)] {
      var story = Story("prompt:x", "A")
      story.validator.history.set(
        Validator.keyWithOthers("prompt:x"), .label(Validator.label("A", withOthers: ["p2"])), at: at(10))
      var reply = LookupReply(.found(label: "A", etag: "#A", revision: at(10)))
      (reply.others, reply.observed, reply.epoch) = (others, at(10), "e")
      story.validator.answered(story.validator.ask(Lookup("prompt:x", of: "one")), reply)
      #expect(story.broken == (isRight ? [] : [.asOfWhen]), "\(others)")
    }
  }

  /// An A/B lookup shows the value of another key as of that value's own revision.
  @Test func anAnswerOfSeveralLooks() {
    for (label, part, revision, expected) in [
      ("A active", "A", 10, []), ("B staged", "B", 20, []), ("A staged", "A", 10, [.asOfWhen]),
      ("B staged", "B", 19, [.asOfWhen]),
    ] as [(String, String, UInt64, [Guarantee])] {
      var story = Story("prompt:x", "A", "B")
      story.validator.history.set("prompt#test:x", .label("A active"), at: at(10))
      story.validator.history.set("prompt#test:x", .label("B staged"), at: at(20))
      story.reply(
        to: Lookup("prompt#test:x", of: "one"),
        .composed(label: label, parts: [.init("prompt:x", part, at: at(revision))]))
      #expect(story.broken == expected, "\(label) \(revision)")
    }
  }

  // MARK: Lists

  @Test func aPageIsOfOneMoment() {
    let both = [ListRow(["a"], "A"), ListRow(["b"], "B")]
    for (rows, hasMore, count, isRight) in [
      (["A"], true, 2, true), (["A"], false, 1, true), ([], false, 0, true), (["B"], false, 1, false),
      (["A"], true, 1, false), (["A"], false, 2, false),
    ] as [([String], Bool, Int, Bool)] {
      var story = Story("agent_config:x")
      story.validator.history.set("prompt#list", rows: both, at: at(10))
      story.validator.history.set("prompt#list", rows: [both[0]], at: at(20))
      let page = PageRequest(of: "prompt#list", after: nil, size: 1)
      story.reply(
        to: Lookup(page, of: "one"),
        .composed(label: PageRequest.text(rows: rows, hasMore: hasMore, totalCount: count), parts: []))
      #expect(story.broken == (isRight ? [] : [.asOfWhen]), "\(rows) \(count)")
    }
  }

  @Test func theNextPageBeginsAfterTheLastRow() {
    var story = Story("agent_config:x")
    story.validator.history.set("prompt#list", rows: [ListRow(["a"], "A"), ListRow(["b"], "B")], at: at(10))
    let page = PageRequest(of: "prompt#list", after: ["a"], size: 5)
    func text(_ rows: [String]) -> LookupReply.Result {
      .composed(label: PageRequest.text(rows: rows, hasMore: false, totalCount: 2), parts: [])
    }
    story.reply(to: Lookup(page, of: "one"), text(["B"]))
    #expect(story.broken == [])
    story.reply(to: Lookup(page, of: "one"), text(["A", "B"]))
    #expect(story.broken == [.asOfWhen])
  }

  @Test func aListDoesNotGoBack() {
    var story = Story("prompt:x", "A", "B")
    story.validator.history.set("prompt#list", rows: [ListRow(["x"], "A")], at: at(10))
    story.validator.history.set("prompt#list", rows: [ListRow(["x"], "B")], at: at(20))
    story.lookUp("B", observed: 19, revision: 20)
    story.reply(
      to: Lookup(PageRequest(of: "prompt#list", after: nil, size: 1), of: "one"),
      .composed(label: PageRequest.text(rows: ["A"], hasMore: false, totalCount: 1), parts: []), observed: 19)
    #expect(story.broken == [.asOfWhen])
  }

  @Test func whatIsNotKnownIsAccepted() {
    var story = Story("agent_config:x")
    story.validator.history.set("prompt#list", rows: nil, at: at(10))
    story.validator.history.set("prompt:x", .unknown, at: at(10))
    story.validator.history.set("prompt:x", .label("B"), at: at(20))
    story.reply(
      to: Lookup(PageRequest(of: "prompt#list", after: nil, size: 1), of: "one"),
      .composed(label: "whatever", parts: []), observed: 10)
    story.lookUp("A", observed: 10, revision: 10)
    story.lookUp(nil, observed: 10)
    #expect(story.broken == [])
    story.lookUp("A", observed: 20, revision: 10)
    #expect(story.broken == [.asOfWhen])
  }
}
