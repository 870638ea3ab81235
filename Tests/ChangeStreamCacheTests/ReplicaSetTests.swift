// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Tests of what replica sets and sharded clusters do that a database with one server does not.
struct ReplicaSetTests {
  /// A source whose openings and replies are given by the test.
  private final class ScriptedSource: DocumentSource {
    struct Script: Sendable {
      /// The outcomes of the next openings; nil opens the stream, as does an empty list.
      var openings: [SourceError?] = []
      /// The outcomes of the next waits for a change; nil is an empty reply, as is an empty list.
      var replies: [Result<DocumentChange?, SourceError>] = []
      var progress = StreamProgress(reportedTime: Revision(100), askedAt: .now)
      var opened: [String] = []
    }

    let script = Locked(Script())

    func identity() throws(SourceError) -> String { "scripted" }

    func openStream(
      resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
    ) throws(SourceError) -> any DocumentStream {
      let error = script.withLock { script -> SourceError? in
        script.opened.append(token == nil ? "from now" : "resumed")
        return script.openings.isEmpty ? nil : script.openings.removeFirst()
      }
      if let error { throw error }
      return ScriptedStream(script)
    }

    func readAll(
      matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool,
      _ body: (BSONDocument) -> Bool
    ) throws(SourceError) -> Revision { revision }
  }

  private final class ScriptedStream: DocumentStream {
    private let script: Locked<ScriptedSource.Script>
    init(_ script: Locked<ScriptedSource.Script>) { self.script = script }
    var progress: StreamProgress { script.withLock { $0.progress } }
    var resumeToken: ResumeToken? { ResumeToken(.empty) }
    func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
      let reply = script.withLock { $0.replies.isEmpty ? .success(nil) : $0.replies.removeFirst() }
      return try reply.get()
    }
    func close() {}
  }

  private static func cache(
    _ source: ScriptedSource, _ clock: ManualClock, resumeTokenTimeout: Duration = .seconds(30)
  ) -> ChangeStreamCache<Country> {
    var options = ChangeStreamCache<Country>.Options()
    options.resumeTokenTimeout = resumeTokenTimeout
    let cache = ChangeStreamCache<Country>(source: source, options: options, clock: clock)
    return cache
  }

  /// Sets what the stream proves: every change up to `received`, while the database is at `database`.
  private static func prove(_ source: ScriptedSource, _ clock: ManualClock, received: Revision, database: Revision) {
    source.script.withLock {
      $0.progress = StreamProgress(
        reportedTime: received, askedAt: clock.now, received: ReceivedWatermark(through: received),
        databaseTime: database)
    }
  }

  /// The commit point is behind the last write, and the stream proves the commit point only.
  @Test func anEmptyReplyProvesWhatItsTokenProves() throws {
    let (source, clock) = (ScriptedSource(), ManualClock())
    let cache = Self.cache(source, clock)
    Self.prove(source, clock, received: Revision(100), database: Revision(110))
    for _ in 0..<3 { _ = cache.stepStream() }
    _ = cache.stepRead()
    for _ in 0..<8 {
      clock.advance(by: .milliseconds(500))
      _ = cache.stepStream()
    }
    #expect(cache.reader.isLoaded)
    #expect(cache.reader.observedRevision == Revision(100), "the majority has not reached 110")
    let change = try DocumentChange(
      .insert(BSONDocument(json: country("1", "KE", "Kenya"))), id: DocumentID("1"), revision: Revision(105))
    source.script.withLock { $0.replies = [.success(change)] }
    Self.prove(source, clock, received: Revision(110), database: Revision(110))
    _ = cache.stepStream()
    #expect(cache.reader.answer(LookupKey("KE"))?.revision == Revision(105), "the revision of the write itself")
    #expect(cache.reader.observedRevision == Revision(110), "one reply brings the change and settles it")
    cache.closeStream()
  }

  @Test func aMemberWithoutItsMajorityMakesAnswersStale() {
    let (source, clock) = (ScriptedSource(), ManualClock())
    let cache = Self.cache(source, clock)
    let start = Revision(seconds: 1_700_000_000, increment: 1)
    Self.prove(source, clock, received: start, database: start)
    for _ in 0..<3 { _ = cache.stepStream() }
    _ = cache.stepRead()
    _ = cache.stepStream()
    #expect(cache.reader.isValid)
    func later(_ seconds: UInt32) -> Revision { Revision(seconds: start.seconds + seconds, increment: 1) }
    Self.prove(source, clock, received: start, database: later(30))
    _ = cache.stepStream()
    #expect(cache.reader.isValid, "30 s are within the limit")
    let confirmed = clock.now
    clock.advance(by: .seconds(5))
    Self.prove(source, clock, received: start, database: later(31))
    _ = cache.stepStream()
    #expect(!cache.reader.isValid && cache.reader.isBehindMajority)
    #expect(cache.health.majorityLag == .seconds(31))
    #expect(cache.reader.ageMilliseconds == clock.now.milliseconds(since: confirmed), "such a reply confirms nothing")
    Self.prove(source, clock, received: later(31), database: later(31))
    _ = cache.stepStream()
    #expect(cache.reader.isValid && cache.reader.ageMilliseconds == 0)
    cache.closeStream()
  }

  private static func error(_ code: Int, isTemporary: Bool) -> SourceError {
    SourceError(.transient, code: code, "error \(code)", isFromServer: true, isTemporary: isTemporary)
  }

  /// A failover takes longer than a position may be refused. None of its errors refuses the position.
  @Test func aLongFailoverDoesNotGiveThePositionUp() {
    let (source, clock) = (ScriptedSource(), ManualClock())
    let cache = Self.cache(source, clock)
    for _ in 0..<2 { _ = cache.stepStream() }
    let away = SourceError(.transient, "connection refused")
    source.script.withLock {
      $0.replies = [.failure(away)]
      $0.openings = [
        Self.error(10107, isTemporary: true), away, away, Self.error(13436, isTemporary: true),
        Self.error(91, isTemporary: true), SourceError(.misconfigured, code: 13, "unauthorized", isFromServer: true),
        Self.error(11600, isTemporary: true), nil,
      ]
    }
    for _ in 0..<10 {
      clock.advance(by: .seconds(20))
      _ = cache.stepStream()
    }
    #expect(source.script.withLock { $0.opened }.dropFirst().allSatisfy { $0 == "resumed" })
    cache.closeStream()
  }

  /// Errors of the connection are no refusal, and what was refused before them counts no more.
  @Test func onlyRefusalsWithoutAGapGiveThePositionUp() {
    let (source, clock) = (ScriptedSource(), ManualClock())
    let cache = Self.cache(source, clock)
    for _ in 0..<2 { _ = cache.stepStream() }
    let away = SourceError(.transient, "connection refused")
    let refusal = Self.error(8000, isTemporary: false)
    source.script.withLock {
      $0.replies = [.failure(away)]
      $0.openings = [refusal, away, refusal, refusal, nil]
    }
    for _ in 0..<7 {
      clock.advance(by: .seconds(20))
      _ = cache.stepStream()
    }
    // The first refusal does not count. The two after the gap are 20 s apart.
    #expect(source.script.withLock { $0.opened }.dropFirst().allSatisfy { $0 == "resumed" })
    source.script.withLock {
      $0.replies = [.failure(away)]
      $0.openings = [refusal, refusal, refusal, nil]
    }
    for _ in 0..<6 {
      clock.advance(by: .seconds(20))
      _ = cache.stepStream()
    }
    #expect(source.script.withLock { $0.opened }.last == "from now", "refused for 40 s")
    cache.closeStream()
  }

  @Test func aPositionThatTwiceLeadsToATimeoutIsGivenUp() {
    let (source, clock) = (ScriptedSource(), ManualClock())
    let cache = Self.cache(source, clock)
    for _ in 0..<2 { _ = cache.stepStream() }
    let timeout = SourceError(.transient, "no reply", isTimeout: true)
    // The first one ends a stream that has answered, which says nothing about the position.
    source.script.withLock { $0.replies = [.failure(timeout), .failure(timeout), .failure(timeout)] }
    for _ in 0..<8 { _ = cache.stepStream() }
    #expect(source.script.withLock { $0.opened } == ["from now", "resumed", "resumed", "from now"])
    cache.closeStream()
  }
}
