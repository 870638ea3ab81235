// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The revisions that this client has reached, over all servers. Any thread.
///
/// A lookup must not return an older state than the application has seen, so it carries the highest revision that was
/// returned for its entity. A watch resumes where the notices of the last connection ended.
final class Position: Sendable {
  private struct State: Sendable {
    var epoch = ""
    var shown: [Entity: UInt64] = [:]
    /// Every notice up to this revision has been received; 0 if none has.
    var noticed: UInt64 = 0
  }

  private let state = Locked(State())

  /// The revision that a lookup of an entity must not be older than, and the epoch of the database to which it belongs.
  func floor(_ entity: Entity) -> (revision: UInt64, epoch: String) {
    state.withLock { ($0.shown[entity] ?? 0, $0.epoch) }
  }

  /// The epoch of the database that was last seen.
  var epoch: String { state.withLock { $0.epoch } }

  /// The resume position of a watch; revision 0 starts it at the present.
  var watchStart: (revision: UInt64, epoch: String) { state.withLock { ($0.noticed, $0.epoch) } }

  /// Records the revision of an answer or a notice that was passed to the application. Returns whether it is of another
  /// database than the ones before.
  @discardableResult
  func show(_ entity: Entity?, _ revision: UInt64, epoch: String) -> Bool {
    state.withLock { state in
      let isOther = Self.enter(epoch, &state)
      for entity in entity.map({ [$0] }) ?? Entity.allCases {
        state.shown[entity] = max(state.shown[entity] ?? 0, revision)
      }
      return isOther
    }
  }

  /// Records that all notices up to a revision have been received.
  func progress(_ revision: UInt64, epoch: String) {
    state.withLock { state in
      _ = Self.enter(epoch, &state)
      state.noticed = max(state.noticed, revision)
    }
  }

  /// Forgets all positions, because the server reported that they are of another database than its own.
  func startAnew() {
    state.withLock { $0 = State() }
  }

  private static func enter(_ epoch: String, _ state: inout State) -> Bool {
    guard !epoch.isEmpty, epoch != state.epoch else { return false }
    let isOther = !state.epoch.isEmpty
    if isOther { state = State() }
    state.epoch = epoch
    return isOther
  }
}
