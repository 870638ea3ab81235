// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore

/// The last notices of a cache, for watches that start at a revision in the past.
///
/// It contains every change from ``floor`` on: a replay from there is exact, one from an earlier revision is not. Of
/// each key only the latest notice keeps its value, which is the one in the cache, so the buffer holds no values of the
/// past.
///
/// Notices are numbered, and a number is never reused. A watch that replays stores only the number of its next notice,
/// and detects that the notice has been dropped.
struct ReplayBuffer: Sendable {
  private struct Slot: Sendable {
    /// Nil once the notice has been dropped.
    var notice: EncodedNotice?
    /// The highest revision up to this notice. It only grows.
    let highest: Revision
  }

  private let limit: Int
  /// The slots in order, from `first` on.
  private var slots: [Slot] = []
  private var first = 0
  /// The number of `slots[0]`.
  private var base = 0
  /// The number of the latest notice of each key.
  private var latest: [LookupKey: Int] = [:]
  /// Whether no notice has been dropped since the history began.
  private var hasAll = true
  /// The lowest revision at which a watch may start; nil if no history is known.
  private(set) var floor: Revision?
  /// Whether the history has begun only once, at the load of the cache, before which no client received anything from
  /// this server.
  private(set) var isUnbroken = false

  init(limit: Int) {
    self.limit = limit
  }

  /// The number of notices in the buffer.
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

  /// Begins the history anew: every change after `revision` will be appended. Earlier notices are dropped, because they
  /// are not complete.
  mutating func begin(after revision: Revision) {
    base = endNumber
    slots = []
    first = 0
    latest = [:]
    hasAll = true
    isUnbroken = floor == nil
    floor = Revision(revision.rawValue + 1)
  }

  /// Inserts older notices before the others, up to the limit; `floor` is the revision from which on they are complete.
  ///
  /// A key that has changed since is left out, because the answer that it had then is not known any more.
  mutating func prepend(_ older: [EncodedNotice], from floor: Revision) {
    // If notices have been dropped, there is no room for older ones.
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

  /// Appends notices in the order of the cache, and drops the oldest ones above the limit.
  mutating func append(_ new: [EncodedNotice]) {
    for notice in new { add(notice) }
    while count > limit { forgetFirst() }
    if first > limit {
      slots.removeFirst(first)
      base += first
      first = 0
    }
  }

  private mutating func add(_ notice: EncodedNotice) {
    let number = endNumber
    if let before = latest.updateValue(number, forKey: notice.key) {
      slots[before - base].notice = slots[before - base].notice?.withoutValue()
    }
    slots.append(Slot(notice: notice, highest: max(slots.last?.highest ?? .none, notice.revision)))
  }

  private mutating func forgetFirst() {
    if let notice = slots[first].notice {
      // Others of the same revision may remain, but not all of them.
      floor = max(floor ?? .none, Revision(notice.revision.rawValue + 1))
      if latest[notice.key] == base + first { latest[notice.key] = nil }
    }
    slots[first].notice = nil
    first += 1
    hasAll = false
  }

  /// The number of the first notice that a replay from `revision` on must check; nil if the replay would not be exact.
  /// Older notices may be among the following ones. Takes the time of a binary search.
  ///
  /// - Parameter isNewcomer: whether the watch starts at the present. It holds nothing from before the load, and need
  ///   not be notified of it.
  func start(since revision: Revision, isNewcomer: Bool) -> Int? {
    guard let floor, revision >= floor || (isNewcomer && isUnbroken && hasAll) else { return nil }
    var (low, high) = (first, slots.count)
    while low < high {
      let middle = (low + high) / 2
      if slots[middle].highest < revision { low = middle + 1 } else { high = middle }
    }
    return base + low
  }

  /// Returns at most `limit` notices from a number on; nil if the first of them has been dropped.
  func notices(from number: Int, limit: Int) -> [EncodedNotice]? {
    guard number >= base + first else { return nil }
    return slots[(min(number, endNumber) - base)...].prefix(limit).compactMap(\.notice)
  }
}
