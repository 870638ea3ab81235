// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The change stream that a cache follows. Every error ends it, and the cache opens the next one. Only one thread may
/// use and close it.
final class MongoChangeStream: DocumentStream {
  private let cursor: ChangeStreamCursor

  init(
    pool: MongoClientPool, namespace: MongoNamespace, token: ResumeToken?, fields: Set<String>,
    maximumAwaitTime: Duration
  ) throws(SourceError) {
    cursor = try ChangeStreamCursor(
      pool: pool, namespace: namespace, start: token.map { .after($0) } ?? .now,
      options: .init(bringsDocuments: true, reportedFields: fields, maximumAwaitTime: maximumAwaitTime))
  }

  var operationTime: Revision { cursor.operationTime }
  var askedAt: MonotonicTime { cursor.askedAt }
  var resumeToken: ResumeToken? { cursor.resumeToken }

  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    try cursor.next(waitingAtMost: limit).map { DocumentChange(event: $0, isExact: cursor.hasImages) }
  }

  func close() { cursor.close() }
}
