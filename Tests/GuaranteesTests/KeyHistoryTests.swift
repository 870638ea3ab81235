// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees
internal import Testing

/// Tests of several documents with one key, and of invalid documents.
struct KeyHistoryTests {
  @Test func theGreatestRankAnswers() {
    var story = Story("prompt:x")
    story.validator.history.set("prompt:x", document: "a", .label("A", rank: [1, 0]), at: at(10))
    story.validator.history.set("prompt:x", document: "b", .label("B", rank: [2, 0]), at: at(20))
    #expect(story.validator.history.last("prompt:x") == "B")
    story.lookUp("A", observed: 19)
    #expect(story.broken == [])
    story.lookUp("A", observed: 20)
    #expect(story.broken == [.asOfWhen])
    story.validator.history.set("prompt:x", document: "b", .nothing, at: at(30))
    story.lookUp("A", observed: 30)
    #expect(story.broken == [.asOfWhen], "b is gone: a answers again")
    story.lookUp("B", observed: 30)
    #expect(story.broken.count == 3, "b is gone, and was seen to be gone")
  }

  @Test func equalRanksAreSettledByTheIdentifier() {
    var story = Story("prompt:x")
    story.validator.history.set("prompt:x", document: "a", .label("A"), at: at(10))
    story.validator.history.set("prompt:x", document: "b", .label("B"), at: at(10))
    #expect(story.validator.history.last("prompt:x") == "B")
    story.lookUp("A", observed: 10)
    #expect(story.broken == [.asOfWhen])
  }

  /// `a` as of 30 and `b` as of 15 was never the state.
  @Test func theDocumentsOfAKeyAreSeenAsOfOneMoment() {
    var story = Story("prompt:x")
    story.validator.history.set("prompt:x", document: "a", .label("A5", rank: [5]), at: at(10))
    story.validator.history.set("prompt:x", document: "b", .label("B2", rank: [2]), at: at(10))
    story.validator.history.set("prompt:x", document: "b", .label("B7", rank: [7]), at: at(20))
    story.validator.history.set("prompt:x", document: "a", .label("A1", rank: [1]), at: at(30))
    story.validator.started("two", at: .none)
    story.validator.mayBeWarm("two")
    story.lookUp("A5", observed: 15)
    story.lookUp("B7", observed: 20)
    #expect(story.broken == [])
    story.lookUp("B2", of: "two", observed: 15)
    #expect(story.broken == [.asOfWhen])
  }

  @Test func theLastGoodVersionStandsInForABadOne() {
    var story = Story("prompt:x", "A", "B")
    story.validator.history.set("prompt:x", .bad, at: at(30))
    story.lookUp("B", observed: 30)
    #expect(story.broken == [])
    story.lookUp(nil, observed: 30)
    #expect(story.broken == [.neverBack], "it had a good version")
    story.lookUp("A", observed: 30)
    #expect(story.broken == [.neverBack, .neverBack])
  }

  @Test func aServerThatNeverHadAGoodVersionAnswersNothing() {
    var story = Story("prompt:x", "A")
    story.validator.history.set("prompt:x", .bad, at: at(20))
    story.lookUp(nil, observed: 20)
    #expect(story.broken == [])
  }
}
