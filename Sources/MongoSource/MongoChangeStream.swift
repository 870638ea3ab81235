// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The change stream that a cache follows. Every error ends it, and the cache opens the next one. Only one thread may
/// use and close it.
final class MongoChangeStream: DocumentStream {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace
  private let options: ChangeStreamCursor.Options
  private let gossip: ClusterTimeGossip
  private var cursor: ChangeStreamCursor
  /// Whether the cursor uses the longer socket timeout of a stream that has to catch up.
  private var isCatchingUp: Bool

  init(
    pool: MongoClientPool, namespace: MongoNamespace, token: ResumeToken?, fields: Set<String>,
    maximumAwaitTime: Duration,
    gossip: ClusterTimeGossip
  ) throws(SourceError) {
    self.pool = pool
    self.namespace = namespace
    self.gossip = gossip
    options = .init(bringsDocuments: true, reportedFields: fields, maximumAwaitTime: maximumAwaitTime)
    isCatchingUp = token.map { Self.isOld($0) } ?? false
    cursor = try ChangeStreamCursor(
      pool: isCatchingUp ? pool.forCatchingUp : pool, namespace: namespace, start: token.map { .after($0) } ?? .now,
      options: options)
    gossip.record(cursor)
  }

  var progress: StreamProgress { cursor.progress }
  var resumeToken: ResumeToken? { cursor.resumeToken }

  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    let change = try cursor.next(waitingAtMost: limit).map {
      DocumentChange(event: $0, isExact: cursor.hasImages)
    }
    gossip.record(cursor)
    if let change, change.revision == .none {
      throw .unsupported("sends change events without clusterTime", at: pool.place)
    }
    if change == nil, isCatchingUp { try continueAtUsualTimeout() }
    return change
  }

  func close() { cursor.close() }

  /// Continues with the usual socket timeout once the stream has caught up, so that a dead connection is noticed.
  private func continueAtUsualTimeout() throws(SourceError) {
    guard cursor.progress.majorityLag < Self.longAge, let token = cursor.resumeToken else { return }
    cursor.close()
    isCatchingUp = false
    cursor = try ChangeStreamCursor(pool: pool, namespace: namespace, start: .after(token), options: options)
  }

  /// The age of a resume position above which the server may scan its log for longer than the usual socket timeout.
  private static let longAge = Duration.seconds(60)

  private static func isOld(_ token: ResumeToken) -> Bool {
    guard let position = TokenPosition(token) else { return false }
    return .seconds(WallTime.now.milliseconds / 1000 - Int64(position.time.seconds)) > longAge
  }
}

/// The highest `$clusterTime` that the streams of a source have received. Reads use connections of their own, whose
/// server may not have received that time yet, and would reject it as one from the future. Any thread may use it.
///
/// https://github.com/mongodb/specifications/blob/master/source/sessions/driver-sessions.md#gossipping-the-cluster-time
final class ClusterTimeGossip: Sendable {
  private let latest = Locked<(time: Revision, signed: BSONDocument)?>(nil)

  /// The time with its signature.
  var signedTime: BSONDocument? { latest.withLock { $0?.signed } }

  func record(_ cursor: ChangeStreamCursor) {
    let time = cursor.progress.databaseTime
    guard time > latest.withLock({ $0?.time ?? .none }), let signed = cursor.signedClusterTime else { return }
    latest.withLock { $0 = (time, signed) }
  }
}
