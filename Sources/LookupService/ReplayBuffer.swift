internal import ChangeStreamCache
internal import Core

/// The last notices of a cache, for watches that start at a revision in the past.
///
/// From ``floor`` on it holds every change: replaying from there is exact, from earlier it is not. Of each key only the
/// latest notice keeps its value, which is the cache's own: so the buffer holds no values of the past.
struct ReplayBuffer: Sendable {
  private let limit: Int
  /// In order, from `first` on.
  private var notices: [Notice?] = []
  private var first = 0
  /// The latest notice of each key, counted from the first ever.
  private var latest: [LookupKey: Int] = [:]
  /// How many have left the front of `notices` for good.
  private var gone = 0
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

  /// How many notices it holds.
  var count: Int { notices.count - first }

  /// From here on every change after `revision` will be appended; what was before is not whole, and is forgotten.
  mutating func begin(after revision: Revision) {
    notices = []
    first = 0
    gone = 0
    latest = [:]
    hasAll = true
    isUnbroken = floor == nil
    floor = Revision(revision.rawValue + 1)
  }

  /// Puts what is older before what there is, as far as the limit allows; `floor` is where that begins.
  ///
  /// A key that has changed since is left out: what it answered then is not known any more.
  mutating func prepend(_ older: [Notice], from floor: Revision) {
    // Where something has been forgotten already, there is no room for what is older still.
    guard let begin = self.floor, hasAll, floor < begin else { return }
    let known = older.filter { latest[$0.key] == nil }
    let kept = known.suffix(limit - min(limit, notices.count - first))
    let newer = notices[first...].compactMap(\.self)
    (notices, first, gone, latest) = ([], 0, 0, [:])
    for notice in kept { add(notice) }
    for notice in newer { add(notice) }
    self.floor = floor
    if kept.count < known.count {
      hasAll = false
      let forgotten = known[known.count - kept.count - 1].revision
      self.floor = min(begin, Revision(forgotten.rawValue + 1))
    }
  }

  /// Appends in the order of the cache, and forgets what passes the limit.
  mutating func append(_ new: [Notice]) {
    for notice in new { add(notice) }
    lastSequence = new.last?.sequence ?? lastSequence
    while notices.count - first > limit { forgetFirst() }
    if first > limit {
      notices.removeFirst(first)
      gone += first
      first = 0
    }
  }

  private mutating func add(_ notice: Notice) {
    let number = gone + notices.count
    if let before = latest.updateValue(number, forKey: notice.key) {
      notices[before - gone] = notices[before - gone]?.withoutValue()
    }
    notices.append(notice)
  }

  private mutating func forgetFirst() {
    if let notice = notices[first] {
      // Others of the same revision may be kept, but no longer all of them.
      floor = max(floor ?? .none, Revision(notice.revision.rawValue + 1))
      if latest[notice.key] == gone + first { latest[notice.key] = nil }
    }
    notices[first] = nil
    first += 1
    hasAll = false
  }

  /// What changed at `revision` or after it; nil where that is not known exactly. With values only the latest of each
  /// key, for only that has one.
  ///
  /// Who comes from nowhere (`isNewcomer`) holds nothing from before the load, and need not be told of it.
  func since(_ revision: Revision, isNewcomer: Bool, withValues: Bool) -> [Notice]? {
    guard let floor, revision >= floor || (isNewcomer && isUnbroken && hasAll) else { return nil }
    return notices[first...].compactMap { notice in
      guard let notice, notice.revision >= revision, !withValues || !notice.isWithoutValue else { return nil }
      return notice
    }
  }
}
