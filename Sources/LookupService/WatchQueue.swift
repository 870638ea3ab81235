internal import ChangeStreamCache
internal import Core

/// A key of any entity.
struct WatchKey: Hashable {
  let entity: ServedEntity
  let key: LookupKey
}

/// What a slow subscriber has still to be told: the latest notice of each key, in the place of the first.
///
/// Bounded by a number of keys: past it, everything is dropped and one RESYNC stands for it. A PROGRESS waits its turn
/// like the rest; a key that changes again keeps its place before it, so the PROGRESS stays true.
struct WatchQueue {
  enum Item {
    case notice(Notice)
    case progress(Revision, reason: String)
    case resync(Revision)
  }

  /// More than so many changed keys are one RESYNC.
  private let limit: Int
  private var items: [Item] = []
  private var first = 0
  /// How many items have left the front of `items` for good.
  private var gone = 0
  /// Where each key's notice stands, counted from the first item ever.
  private var places: [WatchKey: Int] = [:]

  init(limit: Int) {
    self.limit = limit
  }

  var isEmpty: Bool { first == items.count }

  /// How many keys wait.
  var keyCount: Int { places.count }

  /// How many items are held, those that have been taken and not yet let go of among them.
  var storedCount: Int { items.count }

  /// Returns whether the queue overflowed into a RESYNC.
  mutating func append(_ notice: Notice) -> Bool {
    let key = WatchKey(entity: notice.entity, key: notice.key)
    if let place = places[key] {
      items[place - gone] = .notice(notice)
      return false
    }
    if places.count >= limit {
      let latest = items[first...].reduce(notice.revision) { latest, item in
        switch item {
        case .notice(let notice): max(latest, notice.revision)
        case .resync(let revision): max(latest, revision)
        case .progress: latest
        }
      }
      resync(latest)
      return true
    }
    // A RESYNC that waits says all there is to say.
    if case .resync(let revision)? = items.last, first < items.count {
      items[items.count - 1] = .resync(max(revision, notice.revision))
      return false
    }
    places[key] = gone + items.count
    items.append(.notice(notice))
    return false
  }

  /// Drops everything for a RESYNC.
  mutating func resync(_ revision: Revision) {
    removeAll()
    items = [.resync(revision)]
  }

  mutating func append(progress revision: Revision, reason: String) {
    if case .progress(_, let waiting)? = items.last, first < items.count, waiting == reason {
      items[items.count - 1] = .progress(revision, reason: reason)
    } else {
      items.append(.progress(revision, reason: reason))
    }
  }

  mutating func popFirst() -> Item? {
    guard first < items.count else { return nil }
    let item = items[first]
    first += 1
    if case .notice(let notice) = item { places[WatchKey(entity: notice.entity, key: notice.key)] = nil }
    if first == items.count || (first > 64 && first * 2 > items.count) {
      items.removeFirst(first)
      gone += first
      first = 0
    }
    return item
  }

  mutating func removeAll() {
    gone += items.count
    items = []
    first = 0
    places = [:]
  }
}
