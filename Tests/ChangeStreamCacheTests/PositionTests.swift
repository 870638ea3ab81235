// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

/// A source whose resumed streams open and then always fail at the first getMore with a server error.
private final class PoisonSource: DocumentSource {
  let inner = InMemorySource()
  let poisoned = Locked(false)

  func identity() throws(SourceError) -> String { try inner.identity() }

  func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream {
    try PoisonStream(inner.openStream(resumingAfter: token, reportingFields: fields), self, token != nil)
  }

  func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    try inner.readAll(matching: filter, notBefore: revision, besideLookups: besideLookups, body)
  }
}

private final class PoisonStream: DocumentStream {
  let inner: any DocumentStream
  let source: PoisonSource
  let resumed: Bool
  init(_ inner: any DocumentStream, _ source: PoisonSource, _ resumed: Bool) {
    self.inner = inner
    self.source = source
    self.resumed = resumed
  }
  var progress: StreamProgress { inner.progress }
  var resumeToken: ResumeToken? { inner.resumeToken }
  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    if resumed, source.poisoned.withLock({ $0 }) {
      throw SourceError(.transient, code: 10334, "BSONObjectTooLarge", isFromServer: true)
    }
    return try inner.next(waitingAtMost: limit)
  }
  func close() { inner.close() }
}

/// Tests of resume positions that do not become valid by retrying.
struct PositionTests {
  @Test func aPositionBehindWhichNothingCanBeReadIsGivenUp() throws {
    let source = PoisonSource()
    try source.inner.put(country("1", "KE", "Kenya"))
    var options = ChangeStreamCache<Country>.Options()
    options.initialRetryDelay = .milliseconds(1)
    options.maximumRetryDelay = .milliseconds(10)
    options.resumeTokenTimeout = .milliseconds(50)
    let cache = ChangeStreamCache<Country>(source: source, options: options)
    cache.start()
    defer { cache.stop() }
    try poll("the cache is warm") { cache.reader.isLoaded }
    source.poisoned.withLock { $0 = true }
    source.inner.setConnected(false)
    try source.inner.put(country("1", "KE", "Kenia"))
    source.inner.setConnected(true)
    try poll("the cache has read the collection anew") { cache.value(for: LookupKey("KE"))?.name == "Kenia" }
    #expect(cache.health.resyncs == 1)
  }
}
