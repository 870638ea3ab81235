internal import BSON
internal import Core

/// The one place where answers change. What is given to one call becomes visible in one moment, in every answer and
/// every list; the notices are handed on afterwards, so that a notice never runs ahead of what a lookup answers.
struct AnswerPublisher: Sendable {
  private let entity: String
  private let spaces: [KeySpace]
  private let reader: CacheReader
  /// Takes the notices of one publication, in order.
  private let onInvalidation: @Sendable ([Invalidation]) -> Void
  private let logger: Logger

  /// The number of the last publication.
  private(set) var sequence: UInt64 = 0
  /// What the publication under way puts in the place of earlier answers.
  private var replacing: [Answer] = []
  /// False until the first load: before it there are no answers that could have changed.
  var isAnnouncing = false
  /// What is served is of another database than what comes: revisions of the two cannot be compared.
  var isOtherDatabase = false

  init(
    entity: String, spaces: [KeySpace], reader: CacheReader,
    onInvalidation: @escaping @Sendable ([Invalidation]) -> Void, logger: Logger
  ) {
    self.entity = entity
    self.spaces = spaces
    self.reader = reader
    self.onInvalidation = onInvalidation
    self.logger = logger
  }

  struct Cause {
    let reason: Invalidation.Reason
    let revision: Revision
    let committedAt: WallTime
  }

  /// Keys that may answer something else now, and why.
  struct Step {
    var keys: [LookupKey]
    let cause: Cause
    /// Keys that are announced in any case, for the sake of the document `id`.
    var repeating: Set<LookupKey> = []
    var id: DocumentID?
  }

  private struct Change {
    let key: LookupKey
    let old: Answer?
    let new: Answer?
    let isRepeating: Bool
    let cause: Cause
    let id: DocumentID?
  }

  /// Makes the keys of `steps` answer what the documents say now, all in one moment, and hands on the notices.
  ///
  /// - Returns: how many documents have an announced answer that changed.
  @discardableResult
  mutating func publish(_ steps: [Step], _ documents: DocumentSet) -> Int {
    sequence += 1
    let changes = store(steps, documents)
    var listings = Listings.Changes()
    var invalidations: [Invalidation] = []
    var changed: Set<DocumentID> = []
    for change in changes {
      guard let entry = (change.new ?? change.old)?.entry else {
        // A key that never answered here, and is announced because another server may have shown it.
        if isAnnouncing { invalidations.append(invalidation(change)) }
        continue
      }
      let space = space(change.key)
      if entry.listKey == change.key { listings.listed.append(.init(old: change.old, new: change.new)) }
      guard space.selector != nil else { continue }
      listings.announced.append(.init(old: change.old, new: change.new))
      if space.selector == spaces[0].selector {
        listings.primaryDifference += (change.new == nil ? 0 : 1) - (change.old == nil ? 0 : 1)
      }
      let isSame = change.old.flatMap { old in change.new.map { $0.isSame(as: old, space.composition) } } ?? false
      if isSame, !change.isRepeating { continue }
      changed.insert(entry.id)
      if isAnnouncing { invalidations.append(invalidation(change)) }
    }
    reader.listings.apply(listings, publication: sequence) { reader.table.publish(sequence) }
    reader.table.retire(replacing)
    replacing = []
    if !invalidations.isEmpty { onInvalidation(invalidations) }
    return changed.count
  }

  /// Stores the answers of the publication, which no reader sees yet.
  private mutating func store(_ steps: [Step], _ documents: DocumentSet) -> [Change] {
    var changes: [Change] = []
    for step in steps {
      for key in step.repeating.isEmpty ? step.keys : Array(step.repeating.union(step.keys)) {
        let old = reader.table.latest(key)
        var new = documents.compose(key).map { answer(key, old, $0, step.cause) }
        let isRepeating = step.repeating.contains(key)
        if isRepeating, let restated = new, step.cause.revision > restated.revision {
          new = Answer(
            key: key, entry: restated.entry, others: restated.others, otherNames: restated.otherNames,
            index: restated.index, revision: step.cause.revision, committedAt: step.cause.committedAt,
            publication: sequence)
        }
        guard isRepeating || old !== new else { continue }
        if new !== old, let stored = new ?? old.map({ .gone($0, publication: sequence) }) {
          reader.table.store(stored)
          if stored.answerBefore != nil { replacing.append(stored) }
          reader.onStored?()
        }
        changes.append(
          Change(key: key, old: old, new: new, isRepeating: isRepeating, cause: step.cause, id: step.id))
      }
    }
    return changes
  }

  private func invalidation(_ change: Change) -> Invalidation {
    let (old, new) = (change.old, change.new)
    return Invalidation(
      kind: new == nil ? .delete : .upsert, key: change.key,
      revision: new?.revision ?? max(change.cause.revision, isOtherDatabase ? .none : old?.revision ?? .none),
      committedAt: change.cause.committedAt, reason: change.cause.reason,
      itemID: (new ?? old)?.entry.id.text ?? change.id?.text ?? "", answer: new,
      previousETag: old?.entry.etagText, sequence: sequence)
  }

  private func space(_ key: LookupKey) -> KeySpace {
    Int(key.space) < spaces.count ? spaces[Int(key.space)] : KeySpace(selector: nil)
  }

  /// What the key answers now: the old answer where nothing about it has changed.
  private func answer(_ key: LookupKey, _ old: Answer?, _ now: DocumentSet.Composed, _ cause: Cause) -> Answer {
    let space = space(key)
    var (revision, committedAt) = (cause.revision, cause.committedAt)
    if let old, !isOtherDatabase {
      if old.entry === now.entry, old.others.elementsEqual(now.others, by: ===) { return old }
      let isSame =
        old.entry === now.entry && old.otherNames == now.otherNames
        && (space.composition != .members || old.others.elementsEqual(now.others) { $0.etag == $1.etag })
      if isSame {
        (revision, committedAt) = (old.revision, old.committedAt)
      } else {
        revision = max(revision, old.revision)
      }
    }
    if space.admitsOneDocument, let loser = now.others.first,
      old?.others.contains(where: { $0 === loser }) != true
    {
      logger.warning(
        "key_claimed_twice", "Several documents claim the same key; the first in the order of precedence is served",
        [
          "cache": .string(entity), "key": .string(key.text), "wins": .string(now.entry.id.text),
          "loses": .string(loser.id.text),
        ])
    }
    return Answer(
      key: key, entry: now.entry, others: now.others, otherNames: now.otherNames,
      index: space.makeIndex?([now.entry] + now.others), revision: revision, committedAt: committedAt,
      publication: sequence)
  }
}
