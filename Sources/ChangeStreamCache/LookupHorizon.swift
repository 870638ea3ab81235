internal import BSON
internal import Core

/// Keeps a document that was looked up from going back in time.
///
/// An update's document is looked up when the change is delivered, so it may be newer than changes of the same document
/// that are still to come. Applying those as they are (an insert, a replace, a delete carries the state as of itself)
/// would serve an older state than was served before. So they are held, until every change up to the moment of the
/// lookup has come: then the last of them is the document's state at that moment or later.
///
/// The moment of a lookup is no later than the operation time of the reply that brought it.
///
/// What was looked up is announced with the revision of the change that brought it, and so with too low a one: a server
/// that looked the document up at another moment shows it otherwise at that revision. So every change of the document
/// up to the moment of the lookup is announced again, for the keys that the document had, although nothing differs
/// here: who comes from another server, and starts in between, is told. The same goes for changes of other documents of
/// these keys.
struct LookupHorizon: Sendable {
  struct Held: Sendable {
    let change: DocumentChange
    let reading: Reading?
    /// The cache keys to announce although nothing differs.
    fileprivate(set) var keys: Set<LookupKey> = []
    /// Of this change and of those that it has taken the place of.
    fileprivate let lowest: Revision
  }

  private struct Horizon: Sendable {
    var until: Revision
    var held: Held?
    /// The cache keys that the document had since it was first looked up, and had then.
    var keys: Set<LookupKey> = []
    /// Whether an update since then may have taken it to another key, which the lookup did not find any more.
    var mayHaveMoved = false
  }

  private var horizons: [DocumentID: Horizon] = [:]
  /// Until when the answer of a key may be newer than the changes that come.
  private var untilByKey: [LookupKey: Revision] = [:]
  /// In order of revision; a document looked up twice stands here twice.
  private var order: [(until: Revision, id: DocumentID)] = []
  private var passed = 0

  /// Whether a change waits.
  private(set) var heldCount = 0

  /// The documents of which a change waits.
  var heldIDs: [DocumentID] {
    heldCount == 0 ? [] : horizons.compactMap { $0.value.held == nil ? nil : $0.key }
  }

  /// The lowest revision of a change that waits.
  var lowestHeld: Revision? {
    heldCount == 0 ? nil : horizons.values.compactMap { $0.held?.lowest }.min()
  }

  /// A document as of some moment up to `revision` is about to be served. Whatever was held of it is older.
  ///
  /// - Returns: the cache keys to announce although nothing differs.
  mutating func lookedUp(_ id: DocumentID, until revision: Revision, mayMove: Bool) -> Set<LookupKey> {
    let before = horizons[id]
    if before?.held != nil { heldCount -= 1 }
    let keys = before?.keys ?? []
    horizons[id] = Horizon(
      until: revision, held: nil, keys: keys, mayHaveMoved: mayMove || before?.mayHaveMoved ?? false)
    order.append((revision, id))
    return keys
  }

  /// Whether the document may have stood under a key, up to this change of it, that no lookup has found: an update took
  /// it there, and it was looked up when it had gone on.
  func mayHaveSkippedKey(_ id: DocumentID, at revision: Revision) -> Bool {
    guard let horizon = horizons[id] else { return false }
    return horizon.mayHaveMoved && revision <= horizon.until
  }

  /// What was looked up has taken the document from one cache key to another, or to the same.
  mutating func moved(_ id: DocumentID, _ keys: [LookupKey]) {
    guard let until = horizons[id]?.until else { return }
    horizons[id]?.keys.formUnion(keys)
    for key in keys { untilByKey[key] = max(untilByKey[key] ?? .none, until) }
  }

  /// Whether the key may answer with a document as of later than `revision`: then a change of another document of the
  /// key is to be announced although nothing differs here.
  func isEarly(_ key: LookupKey, at revision: Revision) -> Bool {
    untilByKey[key].map { $0 >= revision } ?? false
  }

  /// Nothing that was looked up is newer than this.
  var latest: Revision { order.last?.until ?? .none }

  /// Whether a change that carries the document as of itself must wait; if so, it is held.
  mutating func holds(_ change: DocumentChange, _ id: DocumentID, _ reading: Reading?) -> Bool {
    guard let horizon = horizons[id], change.revision <= horizon.until else { return false }
    if horizon.held == nil { heldCount += 1 }
    let lowest = min(horizon.held?.lowest ?? change.revision, change.revision)
    horizons[id]?.held = Held(change: change, reading: reading, lowest: lowest)
    // It may be skipped here, for what is newer; elsewhere it was shown.
    if case .good(let entry) = reading { horizons[id]?.keys.insert(entry.key) }
    return true
  }

  /// Every change up to `revision` has come: gives what need not wait any longer.
  mutating func advance(to revision: Revision) -> [Held] {
    var released: [Held] = []
    while passed < order.count, order[passed].until <= revision {
      let (until, id) = order[passed]
      passed += 1
      guard let horizon = horizons[id], horizon.until == until else { continue }
      horizons[id] = nil
      if var held = horizon.held {
        held.keys = horizon.keys
        released.append(held)
        heldCount -= 1
      }
    }
    if horizons.isEmpty { untilByKey = [:] }
    if passed > 64, passed * 2 > order.count {
      order.removeFirst(passed)
      passed = 0
    }
    return released
  }

  mutating func removeAll() {
    self = LookupHorizon()
  }
}
