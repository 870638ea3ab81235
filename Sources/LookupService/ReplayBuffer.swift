internal import ChangeStreamCache
internal import Core

/// The last notices of a cache, for watches that start at a revision in the past.
///
/// From ``floor`` on it holds every change: replaying from there is exact, from earlier it is not. Of each key only the
/// latest notice keeps its value, which is the cache's own: so the buffer holds no values of the past.
///
/// Notices are numbered, and a number is never used again: a watch that replays notes the next number only, and
/// notices when that one has been forgotten.
struct ReplayBuffer: Sendable {
  private struct Slot: Sendable {
    /// Nil once it has been forgotten.
    var notice: Notice?
    /// The highest revision up to here: it only grows.
    let highest: Revision
  }

  private let limit: Int
  /// In order, from `first` on.
  private var slots: [Slot] = []
  private var first = 0
  /// The number of `slots[0]`.
  private var base = 0
  /// The number of the latest notice of each key.
  private var latest: [LookupKey: Int] = [:]
  /// Whether nothing has been forgotten since history began.
  private var hasAll = true
  /// A watch may start at this revision or later; nil while nothing is known.
  private(set) var floor: Revision?
  /// Whether history has begun once only: with the load, before which nobody was told anything here.
  private(set) var isUnbroken = false

  init(limit: Int) {
    self.limit = limit
  }

  /// How many notices it holds.
  var count: Int { slots.count - first }

  /// The number of the next notice.
  var endNumber: Int { base + slots.count }

  /// Returns the number after the last notice of the publication and of those before it.
  ///
  /// Takes time in proportion to the number of later notices.
  func endNumber(through publication: UInt64) -> Int {
    var place = slots.count
    while place > first, let notice = slots[place - 1].notice, notice.publication > publication { place -= 1 }
    return base + place
  }

  /// From here on every change after `revision` will be appended; what was before is not whole, and is forgotten.
  mutating func begin(after revision: Revision) {
    base = endNumber
    slots = []
    first = 0
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
    let kept = known.suffix(limit - min(limit, count))
    let newer = slots[first...].compactMap(\.notice)
    (base, slots, first, latest) = (base + first - kept.count, [], 0, [:])
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
    while count > limit { forgetFirst() }
    if first > limit {
      slots.removeFirst(first)
      base += first
      first = 0
    }
  }

  private mutating func add(_ notice: Notice) {
    let number = endNumber
    if let before = latest.updateValue(number, forKey: notice.key) {
      slots[before - base].notice = slots[before - base].notice?.withoutValue()
    }
    slots.append(Slot(notice: notice, highest: max(slots.last?.highest ?? .none, notice.revision)))
  }

  private mutating func forgetFirst() {
    if let notice = slots[first].notice {
      // Others of the same revision may be kept, but no longer all of them.
      floor = max(floor ?? .none, Revision(notice.revision.rawValue + 1))
      if latest[notice.key] == base + first { latest[notice.key] = nil }
    }
    slots[first].notice = nil
    first += 1
    hasAll = false
  }

  /// The number of the first notice that a replay from `revision` on has to look at; nil where that replay would not be
  /// exact. Older notices may be among those that follow. In the time of a binary search.
  ///
  /// A watch that starts now (`isNewcomer`) holds nothing from before the load, and need not be told of it.
  func start(since revision: Revision, isNewcomer: Bool) -> Int? {
    guard let floor, revision >= floor || (isNewcomer && isUnbroken && hasAll) else { return nil }
    var (low, high) = (first, slots.count)
    while low < high {
      let middle = (low + high) / 2
      if slots[middle].highest < revision { low = middle + 1 } else { high = middle }
    }
    return base + low
  }

  /// At most `limit` notices from a number on; nil once the first of them has been forgotten.
  func notices(from number: Int, limit: Int) -> [Notice]? {
    guard number >= base + first else { return nil }
    return slots[(min(number, endNumber) - base)...].prefix(limit).compactMap(\.notice)
  }
}
