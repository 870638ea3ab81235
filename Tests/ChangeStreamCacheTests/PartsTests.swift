// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Tests of the parts of the cache, each by itself.
struct PartsTests {
  private func reading(_ json: String) throws -> (id: DocumentID, reading: Reading) {
    let document = try BSONDocument(json: json)
    let id = try #require(document.id)
    return (id, Reading(document, id: id, as: Country.self))
  }

  private func answer(_ code: String, space: UInt8 = 0, _ number: Int = 0, publication: UInt64 = 0) throws
    -> CachedAnswer
  {
    guard case .good(let entry) = try reading(country("\(number)", code, "n\(number)")).reading else {
      throw TestFailure("not good")
    }
    return CachedAnswer(
      key: LookupKey(code, space: space), entry: entry, revision: .none, committedAt: WallTime(milliseconds: 0),
      publication: publication)
  }

  @Test func etagIsHexadecimal() throws {
    let answer = try answer("de")
    let etag = answer.entry.etag
    let digits = { (number: UInt64) in String(number, radix: 16) }
    let padded = { (text: String) in String(repeating: "0", count: 16 - text.count) + text }
    #expect(etag.text == padded(digits(etag.high)) + padded(digits(etag.low)))
    #expect(answer.bytes == answer.entry.bytes)
    #expect(answer.etagDigits == etag.digits)
  }

  @Test func tableIsADictionary() throws {
    var random = SeededRandom.fresh("tableIsADictionary")
    let table = AnswerTable()
    var model: [LookupKey: CachedAnswer] = [:]
    for step in 0..<20_000 {
      let key = LookupKey("k\(random.below(2000))", space: UInt8(random.below(3)))
      if random.once(in: 3) {
        let none = table.latest(key).map { CachedAnswer.gone($0, publication: UInt64(step)) }
        if let none { table.store(none) }
        table.publish(UInt64(step))
        table.retire([none].compactMap(\.self))
        model[key] = nil
      } else {
        let answer = try answer(key.text, space: key.space, step % 50, publication: UInt64(step))
        table.store(answer)
        table.publish(UInt64(step))
        table.retire([answer])
        model[key] = answer
      }
      let probe = LookupKey("k\(random.below(2000))", space: UInt8(random.below(3)))
      #expect(table.answer(probe) === model[probe])
    }
    for (key, answer) in model { #expect(table.answer(key) === answer) }
  }

  @Test func listingsAreSorted() throws {
    var random = SeededRandom.fresh("listingsAreSorted")
    let listings = Listings()
    var model: [String: CachedAnswer] = [:]
    for step in 0..<300 {
      var changes = Listings.Changes()
      // Sometimes the whole list is merged anew because there are many changes at once.
      var touched: Set<String> = []
      for _ in 0..<(random.once(in: 20) ? 100 : 1 + random.below(4)) {
        let code = "k\(random.below(200))"
        guard touched.insert(code).inserted else { continue }
        let new = random.once(in: 3) ? nil : try answer(code, step)
        if model[code] == nil, new == nil { continue }
        changes.announced.append(Listings.Change(old: model[code], new: new))
        changes.listed.append(Listings.Change(old: model[code], new: new))
        changes.primaryDifference += (new == nil ? 0 : 1) - (model[code] == nil ? 0 : 1)
        model[code] = new
      }
      let before = listings.current
      listings.apply(changes, publication: UInt64(step)) {}
      let state = listings.current
      #expect(before.publication < UInt64(step) || step == 0)
      #expect(state.publication == UInt64(step) && state.primaryCount == model.count)
      #expect(state.all.map(\.key.text) == model.keys.sorted())
      #expect(state.all.indices.map { state.all[$0].key.text } == model.keys.sorted())
      let isSame = (state.lists[""] ?? AnswerList()).elementsEqual(state.all, by: ===)
      #expect(isSame)
      let probe = LookupKey("k\(random.below(200))")
      #expect(state.all.firstIndex(notBefore: probe) == model.keys.count { $0 < probe.text })
    }
  }

  @Test(arguments: [
    (#"{"active": true}"#, true), (#"{"active": false}"#, false), (#"{}"#, false), (#"{"active": null}"#, false),
    (#"{"active": 1}"#, false), (#"{"active": "true"}"#, false), (#"{"active": [false, true]}"#, true),
    (#"{"active": [[true]]}"#, false), (#"{"active": []}"#, false), (#"{"active": {"active": true}}"#, false),
  ]) func filterIsMongoDBs(json: String, matches: Bool) throws {
    #expect(try BSONDocument(json: json).withObject { Country.filter.matches($0) } == matches)
  }

  @Test func filterOfStringsAndNumbers() throws {
    let filter = DocumentFilter.field("s", isOneOf: [.string("a"), .string("b")])
      .and(.field("n", isOneOf: [.integer(3)]))
    func matches(_ json: String) throws -> Bool { try BSONDocument(json: json).withObject { filter.matches($0) } }
    #expect(try matches(#"{"s": "b", "n": 3}"#))
    #expect(try matches(#"{"s": "a", "n": 3.0}"#))
    #expect(try matches(#"{"s": ["x", "a"], "n": {"$numberLong": "3"}}"#))
    #expect(try !matches(#"{"s": "A", "n": 3}"#))
    #expect(try !matches(#"{"s": "a", "n": 3.5}"#))
    #expect(try !matches(#"{"s": "a\u0000", "n": 3}"#))
    #expect(filter.query.json == #"{ "$and" : [ { "s" : { "$in" : [ "a", "b" ] } }, { "n" : 3 } ] }"#)
    #expect(DocumentFilter.all.query.json == "{ }")
  }

  @Test func aReportedTimeIsProvenWhenItIsOldEnough() {
    var times = ReportedTimes()
    let start = MonotonicTime.now
    func at(_ seconds: Double) -> MonotonicTime { start.advanced(by: .seconds(seconds)) }
    #expect(times.latest(notAfter: at(9)) == .none)
    times.add(Revision(5), at: at(1))
    times.add(Revision(7), at: at(2))
    times.add(Revision(7), at: at(3))
    #expect(times.latest(notAfter: at(0.9)) == .none)
    #expect(times.latest(notAfter: at(1.9)) == Revision(5))
    #expect(times.latest(notAfter: at(2)) == Revision(7))
    #expect(times.latest(notAfter: at(9)) == Revision(7))
  }

  @Test func etagsAreStable() {
    // XXH3's 128 bits of the empty input and of "a", from xxHash's own tool. They are equal on every server and must
    // never change.
    let empty = ETag(of: UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(empty.text == "99aa06d3014798d86001c324468d497f")
    let a = Array("a".utf8).withUnsafeBytes { ETag(of: $0) }
    #expect(a.text == "a96faf705af16834e6c632b61e964e1f")
  }

  @Test func cacheKeysHaveOneForm() {
    #expect(cacheKey(entity: "prompt", identifier: "x", variant: nil) == "prompt:x")
    #expect(cacheKey(entity: "prompt", identifier: "x", variant: "staged") == "prompt:x:staged")
    #expect(
      cacheKey(entity: "prompt", selector: "prompt_id", identifier: "x", variant: "staged")
        == "prompt.prompt_id:x:staged")
  }
}
