/// What kind of history a seed makes: some are strict and simple, others mix everything.
struct Traits {
  /// Each key is claimed by one document only, which never moves: nothing blurs what may be seen.
  let isPlain: Bool
  let hasBadDocuments: Bool
  let hasTransactions: Bool
  let hasRestarts: Bool
  /// Changes that no oplog tells of; the reload of every TTL finds them.
  let hasDrift: Bool
  /// Events are delivered again after a reconnect. Not in the middle of a transaction: two changes of one document
  /// at one time would then come in the wrong order, and nothing tells which was later.
  let hasDuplicates: Bool
  /// An update brings the document as of when it was delivered, and not as of itself; and the cache cannot tell.
  let looksUpLate: Bool
  /// One update in so many brings the document as of itself, whatever `looksUpLate` says; 0: none.
  let imageOnceIn: Int
  /// Questions to the database and its replies take their time, and the whole process stands still for a while.
  let hasPauses: Bool
  /// The database reports the time of a change some milliseconds before the change can be seen.
  let hidesCommits: Bool
  /// At the end a copy of the database is restored in its place.
  let isRestored: Bool
  /// At the end a transaction comes that is late: the database has said that everything of its time had come.
  let comesLate: Bool
  /// Content comes back after other content.
  let repeatsContent: Bool
  let queuedKeys: Int
  let replay: Int
  /// So far back a server that starts reads what changed.
  let historySeconds: Double
  /// One fault in so many steps.
  let faultOnceIn: Int
  let keyCount: Int

  init(_ chance: inout Chance) {
    isPlain = chance.once(in: 2)
    hasBadDocuments = chance.once(in: 3)
    hasRestarts = chance.once(in: 2)
    hasDrift = chance.once(in: 8)
    hasDuplicates = chance.once(in: 8)
    hasTransactions = chance.once(in: 2) && !hasDuplicates
    // A look-up would find what no oplog tells of, and the next change would take it away again.
    looksUpLate = !chance.once(in: 3) && !hasDrift
    repeatsContent = chance.once(in: 3)
    queuedKeys = chance.pick([2, 4, 10_000, 10_000])
    replay = chance.pick([3, 8, 10_000, 10_000])
    historySeconds = chance.pick([2, 600, 600])
    faultOnceIn = chance.pick([10, 20, 40, 1000])
    keyCount = chance.pick([1, 2, 4])
    imageOnceIn = chance.pick([0, 0, 1, 2])
    hasPauses = chance.once(in: 2)
    isRestored = chance.once(in: 8)
    comesLate = chance.once(in: 6)
    hidesCommits = chance.once(in: 2)
  }

  /// Whether a subscriber takes what it holds to another server. Not where each server may have a last good version of
  /// its own, or finds drift at another time. See docs/reference/guarantees.md, "What is not promised".
  var movesBetweenServers: Bool { !hasBadDocuments && !hasDrift }
}
