// SPDX-License-Identifier: Apache-2.0
/// The kind of history that a seed produces: some are strict and simple, others combine everything.
struct Traits {
  /// Whether each key is claimed by only one document, which never moves, so that exactly one observation is correct.
  let isPlain: Bool
  let hasBadDocuments: Bool
  let hasTransactions: Bool
  let hasRestarts: Bool
  /// Whether there are changes that are not in the oplog. The reload of every TTL finds them.
  let hasDrift: Bool
  /// Whether events are delivered again after a reconnect. This does not happen in the middle of a transaction: two
  /// changes of one document at one time would then arrive in the wrong order, and nothing would show which one was
  /// later.
  let hasDuplicates: Bool
  /// Whether an update contains the document as of its delivery instead of as of itself, without the cache being able
  /// to detect it.
  let looksUpLate: Bool
  /// One in this number of updates contains a post-image, regardless of `looksUpLate`; 0 for none.
  let imageOnceIn: Int
  /// Whether requests to the database and its replies take time, and the whole process is paused occasionally.
  let hasPauses: Bool
  /// Whether the database is a replica set with a majority commit point, whose tokens prove what a stream delivered.
  let hasMajority: Bool
  /// Whether the database reports the time of a change some milliseconds before the change is visible.
  let hidesCommits: Bool
  /// Whether a copy of the database is restored at the end.
  let isRestored: Bool
  /// Whether a late transaction arrives at the end: the database has reported that everything of its time had been
  /// delivered.
  let comesLate: Bool
  /// Whether earlier content returns after other content.
  let repeatsContent: Bool
  let queuedKeys: Int
  let replay: Int
  /// How far back a starting server reads earlier changes.
  let historyWindow: Duration
  /// One in this number of steps is a fault.
  let faultOnceIn: Int
  let keyCount: Int

  init(_ chance: inout Chance) {
    isPlain = chance.once(in: 2)
    hasBadDocuments = chance.once(in: 3)
    hasRestarts = chance.once(in: 2)
    hasDrift = chance.once(in: 8)
    hasDuplicates = chance.once(in: 8)
    hasTransactions = chance.once(in: 2) && !hasDuplicates
    // A lookup would find a change that is not in the oplog, and the next change would remove it again.
    looksUpLate = !chance.once(in: 3) && !hasDrift
    repeatsContent = chance.once(in: 3)
    queuedKeys = chance.pick([2, 4, 10_000, 10_000])
    replay = chance.pick([3, 8, 10_000, 10_000])
    historyWindow = chance.pick([.seconds(2), .seconds(600), .seconds(600)])
    faultOnceIn = chance.pick([10, 20, 40, 1000])
    keyCount = chance.pick([1, 2, 4])
    imageOnceIn = chance.pick([0, 0, 1, 2])
    hasPauses = chance.once(in: 2)
    isRestored = chance.once(in: 8)
    hasMajority = chance.once(in: 2)
    comesLate = chance.once(in: 6) && !hasMajority
    hidesCommits = chance.once(in: 2) && !hasMajority
  }

  /// Whether a subscriber keeps its content when it moves to another server. It does not where each server may have its
  /// own last valid version, or finds drift at another time. See docs/reference/guarantees.md, "What is not promised".
  var movesBetweenServers: Bool { !hasBadDocuments && !hasDrift }
}
