// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees
internal import Testing

struct LookupRuleTests {
  @Test func answersInOrderAreFine() {
    var story = Story("prompt:x", "A", "B", "A", nil)
    for label in [nil, "A", "A", "B", "A", nil] as [String?] { story.lookUp(label) }
    #expect(story.broken == [])
    #expect(story.validator.judged == 6)
  }

  @Test func nothingIsAnsweredBeforeTheLoad() {
    var story = Story("prompt:x", "A", warm: false)
    story.reply(to: Lookup("prompt:x", of: "one"), .refused(isUnavailable: true, "not ready"))
    #expect(story.broken == [])
    story.lookUp("A")
    #expect(story.broken == [.warmFirst])
  }

  @Test func onlyUnavailableBeforeTheLoad() {
    var story = Story("prompt:x", "A", warm: false)
    story.reply(to: Lookup("prompt:x", of: "one"), .refused(isUnavailable: false, "INTERNAL"))
    #expect(story.broken == [.warmFirst])
  }

  @Test func theFirstAnswerIsNoOlderThanTheStart() {
    var story = Story("prompt:x", "A", "B")
    story.validator.started("two", at: at(20))
    story.validator.mayBeWarm("two")
    story.lookUp("A", of: "two")
    #expect(story.broken == [.warmFirst])
  }

  @Test func anAnswerThatGoesBack() {
    var story = Story("prompt:x", "A", "B")
    story.lookUp("B")
    story.lookUp("A")
    #expect(story.broken == [.neverBack])
  }

  @Test func anotherServerMayBeBehind() {
    var story = Story("prompt:x", "A", "B")
    story.validator.started("two", at: .none)
    story.validator.mayBeWarm("two")
    story.lookUp("B")
    story.lookUp("A", of: "two")
    #expect(story.broken == [])
  }

  @Test func anAnswerThatNeverWas() {
    var story = Story("prompt:x", "A")
    story.lookUp("Z")
    #expect(story.broken == [.neverBack])
  }

  @Test func anAnswerOlderThanItsObservedRevision() {
    var story = Story("prompt:x", "A", "B", nil, "D")
    story.lookUp("A", observed: 19)
    #expect(story.broken == [])
    story.lookUp("A", observed: 20)
    story.lookUp(nil, observed: 40)
    #expect(story.broken == [.asOfWhen, .asOfWhen])
  }

  @Test func anObservedRevisionThatGoesBack() {
    var story = Story("prompt:x", "A")
    story.lookUp("A", observed: 12)
    story.lookUp("A", observed: 11)
    #expect(story.broken == [.asOfWhen])
  }

  @Test func aValueOlderThanItsRevision() {
    var story = Story("prompt:x", "A", "B")
    story.lookUp("A", revision: 19)
    #expect(story.broken == [])
    story.lookUp("A", revision: 20)
    #expect(story.broken == [.asOfWhen])
  }

  /// Another server that is asked with this revision as minimum may show the older state of that time.
  @Test func aValueNewerThanItsRevision() {
    var story = Story("prompt:x", "A", "B")
    story.lookUp("B", revision: 20)
    #expect(story.broken == [])
    story.lookUp("B", revision: 19)
    #expect(story.broken == [.asOfWhen])
  }

  /// With a real database only the end of a write is known: its result may be shown from the end of the previous write
  /// on.
  @Test func aWriteIsTrueSomewhereBeforeItIsAcknowledged() {
    var story = Story("prompt:x")
    let first = story.validator.history.attempt("prompt:x", .label("A"))
    story.validator.history.acknowledge(first, by: at(10))
    _ = story.validator.history.attempt("prompt:x", .label("B"))
    for (label, revision) in [("A", 10), ("A", 99), ("B", 11)] as [(String, UInt64)] {
      story.lookUp(label, of: "one", revision: revision)
      #expect(story.broken == [], "\(label) \(revision)")
      story.validator.started("one", at: .none)
      story.validator.mayBeWarm("one")
    }
    story.lookUp("B", revision: 10)
    #expect(story.broken == [.asOfWhen])
  }

  @Test func anAnswerOlderThanAskedFor() {
    var story = Story("prompt:x", "A", "B")
    story.lookUp("A", minimum: 19)
    #expect(story.broken == [])
    story.lookUp("A", minimum: 20)
    #expect(story.broken == [.anyServer])
  }

  @Test func aTransactionIsSeenWhole() {
    var story = Story("prompt:x")
    story.validator.history.set("prompt:x", .label("A"), at: at(10))
    story.validator.history.set("prompt:x", .label("B"), at: at(10))
    story.lookUp("B", observed: 9, revision: 10)
    #expect(story.broken == [])
    story.lookUp("A", observed: 9, revision: 10)
    #expect(story.broken == [.asOfWhen])
  }

  @Test func aWarmServerAlwaysAnswers() {
    var story = Story("prompt:x", "A")
    story.reply(to: Lookup("prompt:x", of: "one"), .refused(isUnavailable: true, "UNAVAILABLE"))
    #expect(story.broken == [])
    story.lookUp("A")
    var asking = Lookup("prompt:x", of: "one")
    asking.minimumRevision = at(99)
    story.reply(to: asking, .refused(isUnavailable: true, "UNAVAILABLE"))
    #expect(story.broken == [])
    story.reply(to: Lookup("prompt:x", of: "one"), .refused(isUnavailable: true, "UNAVAILABLE"))
    #expect(story.broken == [.alwaysAnAnswer])
  }

  @Test func twoEtagsOfOneContent() {
    var story = Story("prompt:x", "A")
    story.lookUp("A")
    story.reply(
      to: Lookup("prompt:x", of: "one"), .found(label: "A", etag: "other", revision: at(10)))
    #expect(story.broken == [.asOfWhen])
  }

  @Test func staleMeansPastTheTTL() {
    var story = Story("prompt:x", "A")
    var reply = LookupReply(.found(label: "A", etag: "#A", revision: at(10)))
    (reply.observed, reply.epoch) = (at(1), "e")
    for (age, stale, isBroken) in [(1000, false, false), (1001, true, false), (1001, false, true), (9, true, true)] {
      (reply.ageMilliseconds, reply.isStale) = (UInt64(age), stale)
      let before = story.broken.count
      story.validator.answered(story.validator.ask(Lookup("prompt:x", of: "one")), reply)
      #expect(story.broken.count == before + (isBroken ? 1 : 0), "\(age) \(stale)")
    }
    (reply.ageMilliseconds, reply.isStale, reply.leastAgeMilliseconds) = (10, false, 20)
    let before = story.broken.count
    story.validator.answered(story.validator.ask(Lookup("prompt:x", of: "one")), reply)
    #expect(story.broken.count == before + 1)
  }

  @Test func aFigureBeyondItsLimit() {
    var story = Story()
    story.validator.measured("a queue", 10, limit: 10)
    #expect(story.broken == [])
    story.validator.measured("a queue", 11, limit: 10)
    #expect(story.broken == [.bounded])
  }

  @Test func aLookupThatCrossesAnotherIsJudgedByWhatWasKnownWhenItWasAsked() {
    var story = Story("prompt:x", "A", "B")
    let pending = story.validator.ask(Lookup("prompt:x", of: "one"))
    story.lookUp("B")
    var reply = LookupReply(.found(label: "A", etag: "#A", revision: at(10)))
    (reply.observed, reply.epoch) = (at(1), "e")
    story.validator.answered(pending, reply)
    #expect(story.broken == [])
    story.lookUp("A")
    #expect(story.broken == [.neverBack])
  }
}
