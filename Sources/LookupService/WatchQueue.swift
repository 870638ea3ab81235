internal import ChangeStreamCache
internal import Core

/// What a slow subscriber has still to be told: the latest notice of each key, in the place of the first.
///
/// Bounded by a number of keys: past it, everything is dropped and one RESYNC stands for it. A PROGRESS waits its turn
/// like the rest; a key that changes again keeps its place before it, so the PROGRESS stays true.
///
/// A thousand subscribers can be slow at once: a key that waits costs 8 bytes for its notice, which all share, and 5 to
/// 16 to find it. What was taken for a burst is given back after it.
struct WatchQueue {
  enum Item {
    case notice(Notice)
    case progress(Revision, reason: String)
    case resync(Revision)
  }

  /// More than so many changed keys are one RESYNC.
  private let limit: Int
  /// In order, from `first` on; nil stands for the next of the marks.
  private var notices: [Notice?] = []
  private var first = 0
  private var places = WatchQueuePlaces()
  /// PROGRESS and RESYNC, from `firstMark` on.
  private var marks: [Item] = []
  private var firstMark = 0
  /// How many keys wait.
  private(set) var keyCount = 0

  init(limit: Int) {
    self.limit = limit
  }

  var isEmpty: Bool { first == notices.count }

  /// How many items are held, those that have been taken and not yet let go of among them.
  var storedCount: Int { notices.count }

  /// Whether ``append(_:)`` would overflow.
  func isFull(for notice: Notice) -> Bool {
    keyCount >= limit && places.place(of: notice, in: notices, from: first) == nil
  }

  /// Returns whether the queue overflowed into a RESYNC.
  mutating func append(_ notice: Notice) -> Bool {
    if let place = places.place(of: notice, in: notices, from: first) {
      notices[place] = notice
      return false
    }
    if keyCount >= limit {
      overflow(latest: notice.revision)
      return true
    }
    // A RESYNC that waits says all there is to say.
    if case .resync(let revision)? = lastMark {
      marks[marks.count - 1] = .resync(max(revision, notice.revision))
      return false
    }
    notices.append(notice)
    places.insert(notices.count - 1, in: notices, from: first)
    keyCount += 1
    return false
  }

  /// Drops everything for a RESYNC.
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
    letGo()
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

  // MARK: Beneath

  /// The last item, if it is a mark.
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

  /// Gives back the room of what has been taken: each item is moved once on average.
  private mutating func letGo() {
    if isEmpty {
      removeAll()
    } else if first > 64, first * 2 > notices.count {
      // Copies, so that the room of a burst goes with it.
      notices = Array(notices[first...])
      first = 0
      marks = Array(marks[firstMark...])
      firstMark = 0
      places.rebuild(for: notices, from: first)
    }
  }
}
