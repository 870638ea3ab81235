// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Changes the answers of a cache. No other type does.
///
/// All changes of one call become visible at the same moment, in every answer and in every list. The notices are
/// delivered afterwards, so a notice never precedes the state that it announces.
struct AnswerPublisher: Sendable {
  private let entity: String
  private let spaces: [KeySpace]
  private let reader: CacheReader
  /// Receives the notices of one publication, in order.
  private let onInvalidation: @Sendable ([Invalidation]) -> Void
  private let logger: Logger

  /// The number of the last publication.
  private(set) var sequence: UInt64 = 0
  /// The answers of the publication in progress that replace earlier answers.
  private var replacing: [CachedAnswer] = []
  /// Whether changes are announced. False until the first load, because before it there are no answers that could have
  /// changed.
  var isAnnouncing = false
  /// Whether the served answers come from another database than the incoming changes. The revisions of the two cannot
  /// be compared.
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

  /// Keys whose answer may have changed, and the cause.
  struct Step {
    var keys: [LookupKey]
    let cause: Cause
    /// Keys that are announced even if their answer is unchanged, because of the document `id`.
    var repeating: Set<LookupKey> = []
    var id: DocumentID?
  }

  private struct Change {
    let key: LookupKey
    let old: CachedAnswer?
    let new: CachedAnswer?
    let isRepeating: Bool
    let cause: Cause
    let id: DocumentID?
  }

  /// Recomputes the answers of the keys of `steps` from `documents`, publishes all of them at one moment, and then
  /// delivers the notices.
  ///
  /// - Returns: the number of documents with an announced answer that changed.
  @discardableResult
  mutating func publish(_ steps: [Step], _ documents: DocumentSet) -> Int {
    sequence += 1
    let changes = store(steps, documents)
    var listings = Listings.Changes()
    var invalidations: [Invalidation] = []
    var changed: Set<DocumentID> = []
    for change in changes {
      guard let entry = (change.new ?? change.old)?.entry else {
        // This key never had an answer here. It is announced because another server may have served one.
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

  /// Stores the answers of the publication. No reader sees them yet.
  private mutating func store(_ steps: [Step], _ documents: DocumentSet) -> [Change] {
    var changes: [Change] = []
    for step in steps {
      for key in step.repeating.isEmpty ? step.keys : Array(step.repeating.union(step.keys)) {
        let old = reader.table.latest(key)
        var new = documents.compose(key).map { answer(key, old, $0, step.cause) }
        let isRepeating = step.repeating.contains(key)
        if isRepeating, let restated = new, step.cause.revision > restated.revision {
          new = CachedAnswer(
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

  /// Returns the key's current answer. This is the old object where nothing about it has changed.
  private func answer(_ key: LookupKey, _ old: CachedAnswer?, _ now: DocumentSet.Composed, _ cause: Cause)
    -> CachedAnswer
  {
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
    return CachedAnswer(
      key: key, entry: now.entry, others: now.others, otherNames: now.otherNames,
      index: space.makeIndex?([now.entry] + now.others), revision: revision, committedAt: committedAt,
      publication: sequence)
  }
}
