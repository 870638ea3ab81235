internal import Core

/// The last notices of a cache, for watches that start at a revision in the past.
///
/// From ``floor`` on it holds every change: replaying from there is exact, from earlier it is not.
struct ReplayBuffer: Sendable {
  private let limit: Int
  private var notices: [Notice] = []
  private var first = 0
  /// Whether nothing has been forgotten since history began.
  private var hasAll = true
  /// A watch may start at this revision or later; nil while nothing is known.
  private(set) var floor: Revision?
  /// Of the last notice.
  private(set) var lastSequence: UInt64 = 0
  /// Whether history has begun once only: with the load, before which nobody was told anything here.
  private(set) var isUnbroken = false

  init(limit: Int) {
    self.limit = limit
  }

  /// From here on every change after `revision` will be appended; what was before is not whole, and is forgotten.
  mutating func begin(after revision: Revision) {
    notices = []
    first = 0
    hasAll = true
    isUnbroken = floor == nil
    floor = Revision(revision.rawValue + 1)
  }

  /// Puts what is older before what there is, as far as the limit allows; `floor` is where that begins.
  mutating func prepend(_ older: [Notice], from floor: Revision) {
    // Where something has been forgotten already, there is no room for what is older still.
    guard let begin = self.floor, hasAll, floor < begin else { return }
    let kept = older.suffix(limit - min(limit, notices.count - first))
    notices = Array(kept) + notices[first...]
    first = 0
    self.floor = floor
    if kept.count < older.count {
      hasAll = false
      let forgotten = older[older.count - kept.count - 1].revision
      self.floor = min(begin, Revision(forgotten.rawValue + 1))
    }
  }

  /// Appends in the order of the cache, and forgets what passes the limit.
  mutating func append(_ new: [Notice]) {
    notices += new
    lastSequence = new.last?.sequence ?? lastSequence
    while notices.count - first > limit {
      // Others of the same revision may be kept, but no longer all of them.
      floor = max(floor ?? .none, Revision(notices[first].revision.rawValue + 1))
      first += 1
      hasAll = false
    }
    if first > limit {
      notices.removeFirst(first)
      first = 0
    }
  }

  /// What changed at `revision` or after it; nil where that is not known exactly.
  ///
  /// Who comes from nowhere (`isNewcomer`) holds nothing from before the load, and need not be told of it.
  func since(_ revision: Revision, isNewcomer: Bool) -> [Notice]? {
    guard let floor, revision >= floor || (isNewcomer && isUnbroken && hasAll) else { return nil }
    return notices[first...].filter { $0.revision >= revision }
  }
}
