internal import Core

/// How far this client has come, whichever server it asked. Any thread.
///
/// A lookup must not be answered older than what the application has seen, so it carries the highest revision that was
/// shown for its entity. A watch goes on where the notices before it ended.
final class Position: Sendable {
  private struct State: Sendable {
    var epoch = ""
    var shown: [Entity: UInt64] = [:]
    /// All notices up to here have come; 0 for none yet.
    var noticed: UInt64 = 0
  }

  private let state = Locked(State())

  /// What a lookup must not be older than, and of which database that is.
  func floor(_ entity: Entity) -> (revision: UInt64, epoch: String) {
    state.withLock { ($0.shown[entity] ?? 0, $0.epoch) }
  }

  /// Of the database that was last heard of.
  var epoch: String { state.withLock { $0.epoch } }

  /// Where a watch goes on; 0 for from now on.
  var watchStart: (revision: UInt64, epoch: String) { state.withLock { ($0.noticed, $0.epoch) } }

  /// An answer or a notice was shown. True if it is of another database than what came before.
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

  /// All notices up to a revision have come.
  func progress(_ revision: UInt64, epoch: String) {
    state.withLock { state in
      _ = Self.enter(epoch, &state)
      state.noticed = max(state.noticed, revision)
    }
  }

  /// The server says that the positions held so far are of no use to it.
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
