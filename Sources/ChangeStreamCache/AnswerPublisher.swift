internal import BSON
internal import Core

/// The one place where answers change: it stores first and hands on the notices afterwards, so a notice never runs
/// ahead of what a lookup answers.
struct AnswerPublisher: Sendable {
  private let entity: String
  private let reader: CacheReader
  /// Takes the notices of one step, in order.
  private let onInvalidation: @Sendable ([Invalidation]) -> Void
  private let logger: Logger

  /// Of the last change that was published.
  private(set) var sequence: UInt64 = 0
  /// False until the first load: before it there are no answers that could have changed.
  var isAnnouncing = false
  /// What is served is of another database than what comes: revisions of the two cannot be compared.
  var isOtherDatabase = false

  init(
    entity: String, reader: CacheReader, onInvalidation: @escaping @Sendable ([Invalidation]) -> Void, logger: Logger
  ) {
    self.entity = entity
    self.reader = reader
    self.onInvalidation = onInvalidation
    self.logger = logger
  }

  struct Cause {
    let reason: Invalidation.Reason
    let revision: Revision
    let committedAt: WallTime
  }

  /// Makes each key answer what its claims say now: stores, then hands on the notices. Gives the number of cache keys
  /// whose answer changed.
  ///
  /// `repeating` are cache keys that are announced in any case, for the sake of the document `id`.
  @discardableResult
  mutating func publish(
    _ keys: [LookupKey], _ claims: [LookupKey: DocumentSet.Claims], _ cause: Cause,
    repeating: Set<LookupKey> = [], of id: DocumentID? = nil
  ) -> Int {
    sequence += 1
    var changes: [(key: LookupKey, old: Answer?, new: Answer?)] = []
    for key in repeating.isEmpty ? keys : Array(repeating.union(keys)) {
      let old = reader.table.answer(key)
      var new = claims[key].map { answer(key, old, $0, cause) }
      if repeating.contains(key) {
        new = new?.restated(at: cause.revision, cause.committedAt)
        changes.append((key, old, new))
      } else if old !== new {
        changes.append((key, old, new))
      }
    }
    store(changes)
    var listed: [Listings.Change] = []
    var invalidations: [Invalidation] = []
    var count = 0
    for (key, old, new) in changes {
      // Aliases are looked up, not listed and not announced.
      if let entry = (new ?? old)?.entry {
        guard entry.key == key else { continue }
        listed.append(Listings.Change(old: old, new: new))
      }
      if let old, let new, old.entry.etag == new.entry.etag, !repeating.contains(key) { continue }
      count += 1
      guard isAnnouncing else { continue }
      invalidations.append(
        Invalidation(
          kind: new == nil ? .delete : .upsert, key: key,
          revision: new?.revision ?? max(cause.revision, isOtherDatabase ? .none : old?.revision ?? .none),
          committedAt: cause.committedAt, reason: cause.reason, itemID: (new ?? old)?.entry.id.text ?? id?.text ?? "",
          answer: new, previousETag: old?.entry.etagText, sequence: sequence))
    }
    // What is announced is counted there too: a watch leaves out what its initial state has seen.
    if !listed.isEmpty || count > 0 { reader.listings.apply(listed, sequence: sequence) }
    if !invalidations.isEmpty { onInvalidation(invalidations) }
    return count
  }

  /// Cache keys first, then aliases, and last what is gone: whoever finds a document by an alias, and then looks at its
  /// key, finds it however the two looks fall.
  private func store(_ changes: [(key: LookupKey, old: Answer?, new: Answer?)]) {
    for (key, _, new) in changes where new?.entry.key == key { reader.table.set(key, new) }
    for (key, _, new) in changes where new != nil && new?.entry.key != key { reader.table.set(key, new) }
    for (key, _, new) in changes where new == nil { reader.table.set(key, nil) }
  }

  /// What the key answers now: the old answer where nothing about it has changed.
  private func answer(_ key: LookupKey, _ old: Answer?, _ claims: DocumentSet.Claims, _ cause: Cause) -> Answer {
    let (entry, others) = (claims.winner, claims.others)
    if let old, old.entry === entry, !isOtherDatabase {
      if old.others.elementsEqual(others, by: ===) { return old }
      return Answer(
        key: key, entry: entry, others: others, revision: old.revision, committedAt: old.committedAt)
    }
    if !others.isEmpty, key == entry.key, old?.others.count != others.count {
      logger.warning(
        "key_claimed_twice", "several documents claim one key; the first wins",
        [
          "cache": .string(entity), "key": .string(key.text), "wins": .string(entry.id.text),
          "loses": .string(others[0].id.text),
        ])
    }
    let before = isOtherDatabase ? .none : old?.revision ?? .none
    return Answer(
      key: key, entry: entry, others: others, revision: max(cause.revision, before),
      committedAt: cause.committedAt)
  }
}
