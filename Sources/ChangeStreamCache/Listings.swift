// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// All announced answers, and the answers of each list, in order of key and as of one publication. Any thread may use
/// it.
final class Listings: Sendable {
  /// The change of one key: `old` is the answer before it, `new` the answer from then on.
  struct Change {
    let old: CachedAnswer?
    let new: CachedAnswer?
  }

  struct State: Sendable {
    var publication: UInt64 = 0
    /// Every announced answer.
    var all = AnswerList()
    var lists: [String: AnswerList] = [:]
    /// The number of keys of the primary selector that have an answer.
    var primaryCount = 0
  }

  private let state = Locked(State())

  /// A copy of the lists, as of one publication.
  var current: State { state.withLock { $0 } }

  /// Applies the list changes of a publication, and calls `publish` at the same moment. A copy that was taken before
  /// contains nothing of the publication, as the table does; a copy that is taken afterwards contains all of it.
  func apply(_ changes: Changes, publication: UInt64, _ publish: () -> Void) {
    guard changes.isLarge else {
      state.withLock { state in
        changes.apply(to: &state)
        state.publication = publication
        publish()
      }
      return
    }
    // The new lists are made outside the lock, which readers take, because only one thread changes the lists.
    var new = current
    changes.apply(to: &new)
    new.publication = publication
    state.withLock {
      $0 = new
      publish()
    }
  }

  /// The list changes of one publication.
  struct Changes {
    /// Changes of announced answers.
    var announced: [Change] = []
    /// Changes of answers that lists contain.
    var listed: [Change] = []
    var primaryDifference = 0

    /// Whether there are too many changes to apply them while readers wait.
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

    /// Applies changes to a list. A few are applied one by one, each of which copies a chunk; many are sorted and
    /// merged.
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
