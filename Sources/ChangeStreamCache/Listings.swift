internal import Core

/// Answers in order of key: all that are announced, and those of each list, as of one publication. Any thread.
final class Listings: Sendable {
  /// What changed about a key: `old` is what stood there, `new` what stands there from now on.
  struct Change {
    let old: Answer?
    let new: Answer?
  }

  struct State: Sendable {
    var publication: UInt64 = 0
    /// Every announced answer.
    var all = AnswerList()
    var lists: [String: AnswerList] = [:]
    /// How many keys of the primary selector have an answer.
    var primaryCount = 0
  }

  private let state = Locked(State())

  /// A copy, as of one publication.
  var current: State { state.withLock { $0 } }

  /// Applies what a publication changes, and publishes it with `publish` in the same moment: a copy taken before shows
  /// nothing of it, as the table does, and one taken afterwards all of it.
  func apply(_ changes: Changes, publication: UInt64, _ publish: () -> Void) {
    guard changes.isLarge else {
      state.withLock { state in
        changes.apply(to: &state)
        state.publication = publication
        publish()
      }
      return
    }
    // Made outside the lock, which readers take: only one thread changes the lists.
    var new = current
    changes.apply(to: &new)
    new.publication = publication
    state.withLock {
      $0 = new
      publish()
    }
  }

  /// The changes of one publication.
  struct Changes {
    /// Announced answers.
    var announced: [Change] = []
    /// Answers that lists show.
    var listed: [Change] = []
    var primaryDifference = 0

    /// More than can be applied while readers wait.
    var isLarge: Bool { announced.count + listed.count > 64 }

    fileprivate func apply(to state: inout State) {
      state.primaryCount += primaryDifference
      Self.apply(announced, to: &state.all)
      var byList: [String: [Change]] = [:]
      for change in listed {
        let (before, after) = (change.old?.entry.listings ?? [], change.new?.entry.listings ?? [])
        for name in before where !after.contains(name) {
          byList[name, default: []].append(Change(old: change.old, new: nil))
        }
        for name in after {
          byList[name, default: []].append(Change(old: before.contains(name) ? change.old : nil, new: change.new))
        }
      }
      for (name, changes) in byList {
        Self.apply(changes, to: &state.lists[name, default: AnswerList()])
        if state.lists[name]?.isEmpty == true { state.lists[name] = nil }
      }
    }

    /// One by one makes a chunk anew for each; many are put in order and merged.
    private static func apply(_ changes: [Change], to list: inout AnswerList) {
      guard changes.count <= 64 else {
        list.merge(
          changes.compactMap { change in (change.new ?? change.old).map { ($0.key, change.new) } }
            .sorted { isBefore($0.0, $1.0) })
        return
      }
      for change in changes {
        if let new = change.new { list.set(new) } else if let old = change.old { list.remove(old.key) }
      }
    }
  }
}
