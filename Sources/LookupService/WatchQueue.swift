// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore

/// The coalescing queue of a slow subscriber: the latest notice of each key, at the position of the first.
///
/// It is bounded by a number of keys; above it, everything is dropped and replaced by one RESYNC. A PROGRESS is queued
/// like notices; a key that changes again keeps its position before it, so the PROGRESS stays true.
///
/// A thousand subscribers can be slow at once: a queued key costs 8 bytes for its notice, which all queues share, and 5
/// to 16 bytes to find it. Memory that was allocated for a burst is freed after it.
struct WatchQueue {
  enum Item {
    case notice(EncodedNotice)
    case progress(Revision, reason: String)
    case resync(Revision)
  }

  /// The maximum number of changed keys. Above it, one RESYNC replaces them.
  private let limit: Int
  /// The notices in order, from `first` on; nil stands for the next of `marks`.
  private var notices: [EncodedNotice?] = []
  private var first = 0
  private var places = WatchQueuePlaces()
  /// PROGRESS and RESYNC, in order, from `firstMark` on.
  private var marks: [Item] = []
  private var firstMark = 0
  /// The number of queued keys.
  private(set) var keyCount = 0

  init(limit: Int) {
    self.limit = limit
  }

  var isEmpty: Bool { first == notices.count }

  /// The number of stored items, including those that have been taken and whose memory has not been freed yet.
  var storedCount: Int { notices.count }

  /// Whether ``append(_:)`` would overflow.
  func isFull(for notice: EncodedNotice) -> Bool {
    keyCount >= limit && places.place(of: notice, in: notices, from: first) == nil
  }

  /// Appends a notice. Returns whether the queue overflowed into a RESYNC.
  mutating func append(_ notice: EncodedNotice) -> Bool {
    if let place = places.place(of: notice, in: notices, from: first) {
      notices[place] = notice
      return false
    }
    if keyCount >= limit {
      overflow(latest: notice.revision)
      return true
    }
    // A queued RESYNC covers the notice.
    if case .resync(let revision)? = lastMark {
      marks[marks.count - 1] = .resync(max(revision, notice.revision))
      return false
    }
    notices.append(notice)
    places.insert(notices.count - 1, in: notices, from: first)
    keyCount += 1
    return false
  }

  /// Replaces everything by a RESYNC.
  mutating func resync(_ revision: Revision) {
    removeAll()
    append(mark: .resync(revision))
  }

  mutating func append(progress revision: Revision, reason: String) {
    if case .progress(_, let waiting)? = lastMark, waiting == reason {
      marks[marks.count - 1] = .progress(revision, reason: reason)
    } else {
      append(mark: .progress(revision, reason: reason))
    }
  }

  mutating func popFirst() -> Item? {
    guard first < notices.count else { return nil }
    let item: Item
    if let notice = notices[first] {
      item = .notice(notice)
      notices[first] = nil
      keyCount -= 1
    } else {
      item = marks[firstMark]
      firstMark += 1
    }
    first += 1
    shrinkToFit()
    return item
  }

  mutating func removeAll() {
    notices = []
    first = 0
    places = WatchQueuePlaces()
    marks = []
    firstMark = 0
    keyCount = 0
  }

  // MARK: Storage

  /// The last item, if it is a PROGRESS or a RESYNC.
  private var lastMark: Item? {
    guard first < notices.count, notices[notices.count - 1] == nil else { return nil }
    return marks.last
  }

  private mutating func append(mark: Item) {
    notices.append(nil)
    marks.append(mark)
  }

  private mutating func overflow(latest: Revision) {
    var latest = latest
    for case let notice? in notices[first...] { latest = max(latest, notice.revision) }
    for case .resync(let revision) in marks[firstMark...] { latest = max(latest, revision) }
    resync(latest)
  }

  /// Frees the memory of items that have been taken. Each item is moved once on average.
  private mutating func shrinkToFit() {
    if isEmpty {
      removeAll()
    } else if first > 64, first * 2 > notices.count {
      // A copy, so that the memory of a burst is freed.
      notices = Array(notices[first...])
      first = 0
      marks = Array(marks[firstMark...])
      firstMark = 0
      places.rebuild(for: notices, from: first)
    }
  }
}
