// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees
internal import Testing

struct WatchRuleTests {
  @Test func whatIsAnnouncedInTimeIsFine() {
    var story = Story("prompt:x", "A", "B", nil)
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    story.progress(19)
    story.upsert("B", 20)
    story.progress(29)
    story.delete(30)
    story.progress(99)
    story.validator.settled("c", at: at(99))
    #expect(story.broken == [])
  }

  @Test func aChangeThatIsNotAnnounced() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    story.progress(20)
    #expect(story.broken == [.nothingLost])
  }

  @Test func aKeyThatCameToBeAndIsNotAnnounced() {
    var story = Story("prompt:x", nil, "B")
    story.watch()
    story.progress(10)
    story.lookUp(nil, client: "c")
    story.progress(20)
    #expect(story.broken == [.nothingLost])
  }

  /// A client may use it as its position, and may disconnect before the rest arrives.
  @Test func theFirstProgressIsAPositionToResumeAt() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    #expect(story.validator.position("c") == at(10))
    story.watch(start: 10)
    story.progress(10)
    #expect(story.broken == [] && story.validator.position("c") == at(10))
    story.upsert("B", 20)
    story.progress(25)
    #expect(story.broken == [] && story.validator.position("c") == at(25))
    story.watch(start: 25)
    story.progress(15)
    #expect(story.broken == [] && story.validator.position("c") == at(15), "the server is behind")
  }

  @Test func aFirstProgressAheadOfTheReplay() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    story.watch(start: 10)
    story.progress(25)
    #expect(story.broken == [.nothingLost])
  }

  @Test func aHopThatReplaysNothing() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    story.watch(start: 10)
    story.progress(10)
    story.progress(25)
    #expect(story.broken == [.nothingLost])
  }

  @Test func aResyncEmptiesTheEntityItNames() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    story.notice("c", .resync, "source_config", 20)
    story.progress(19)
    #expect(story.broken == [])
    story.notice("c", .resync, "prompt", 20)
    story.progress(30)
    #expect(story.broken == [])
  }

  @Test func withTheInitialStateAllIsKnown() {
    var story = Story("prompt:x", "A", "B")
    story.watch(initial: true)
    story.progress(10)
    story.progress(10, reason: "initial_state")
    #expect(story.broken == [.nothingLost], "prompt:x had an answer")
  }

  @Test func aNoticeBinds() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.upsert("B", 20)
    story.lookUp("A")
    #expect(story.broken == [.noticeAfterTheFact])
  }

  @Test func aNoticeOfWhatWasBefore() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    story.upsert("A", 21)
    #expect(story.broken == [.nothingLost])
  }

  @Test func noticesOfAKeyInOrder() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(5)
    story.upsert("B", 20)
    story.upsert("A", 10)
    #expect(story.broken == [.nothingLost])
  }

  @Test func progressDoesNotGoBack() {
    var story = Story("prompt:x", "A")
    story.watch()
    story.progress(15)
    story.progress(14)
    #expect(story.broken == [.asOfWhen])
  }

  @Test func aLookupThatCrossesANoticeIsNotKept() {
    var story = Story("prompt:x", "A", "B")
    story.watch()
    story.progress(10)
    var lookup = Lookup("prompt:x", of: "one")
    lookup.client = "c"
    let pending = story.validator.ask(lookup)
    story.upsert("B", 20)
    var reply = LookupReply(.found(label: "A", etag: "#A", revision: at(10)))
    (reply.observed, reply.epoch) = (at(10), "e")
    story.validator.answered(pending, reply)
    story.progress(20)
    #expect(story.broken == [])
  }

  @Test func whatIsHeldAtTheEndIsTheLastState() {
    var story = Story("prompt:x", "A")
    let attempt = story.validator.history.attempt("prompt:x", .label("B"))
    story.watch()
    story.progress(10)
    story.lookUp("A", client: "c")
    story.validator.settled("c", at: at(50))
    #expect(story.broken == [])
    story.validator.history.acknowledge(attempt, by: at(20))
    story.validator.settled("c", at: at(50))
    #expect(story.broken == [.nothingLost])
  }

  @Test func aResyncEmptiesEverySelector() {
    var story = Story("prompt.prompt_id:p", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", "prompt.prompt_id:p", client: "c")
    story.notice("c", .resync, "prompt", 20)
    story.progress(30)
    #expect(story.broken == [])
  }

  @Test func theAnswerOfASelectorIsAnnouncedToo() {
    var story = Story("prompt.prompt_id:p", "A", "B")
    story.watch()
    story.progress(10)
    story.lookUp("A", "prompt.prompt_id:p", client: "c")
    story.progress(20)
    #expect(story.broken == [.nothingLost])
  }

  @Test func aNoticeNamesItsSelector() {
    let cases: [(key: String, field: String, value: String, isRight: Bool)] = [
      ("prompt.prompt_id:x:staged", "prompt_id", "x", true), ("prompt:x:staged", "agent_id", "x", true),
      ("source_config.container:c", "container", "c", true), ("source_config:s", "source_id", "s", true),
      ("agent_config:a", "", "a", false), ("prompt.prompt_id:x", "agent_id", "x", false),
      ("source_config.container:c", "container", "d", false), ("prompt.agent_id:x", "agent_id", "x", false),
      ("prompts:x", "agent_id", "x", false),
    ]
    for (key, field, value, isRight) in cases {
      var story = Story(key, "A")
      story.watch()
      story.progress(5)
      var notice = SeenNotice(.upsert, at: at(10))
      (notice.key, notice.selector, notice.etag, notice.label, notice.epoch) = (key, (field, value), "#A", "A", "e")
      story.validator.noticed("c", notice)
      #expect(story.broken == (isRight ? [] : [.nothingLost]), "\(key) \(field) \(value)")
    }
  }
}
