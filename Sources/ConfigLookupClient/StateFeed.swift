// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Publishes the state of a client to its listeners, in order. Any thread.
final class StateFeed: Sendable {
  typealias State = ConfigLookupClient.State

  private struct Listeners: Sendable {
    var continuations: [UInt64: AsyncStream<State>.Continuation] = [:]
    var lastID: UInt64 = 0
    var last: State?
    var isEnded = false

    mutating func publish(_ state: State) {
      guard state != last else { return }
      last = state
      for continuation in continuations.values { continuation.yield(state) }
    }
  }

  private let listeners = Locked(Listeners())

  /// Follows the state.
  ///
  /// - Parameter current: evaluated under the lock, so that no older state follows a newer one.
  /// - Returns: a sequence of the current state and then of each different one. A listener that does not keep up
  ///   receives the latest.
  func states(_ current: () -> State) -> AsyncStream<State> {
    let (stream, continuation) = AsyncStream.makeStream(of: State.self, bufferingPolicy: .bufferingNewest(1))
    let id = listeners.withLock { listeners -> UInt64? in
      listeners.publish(current())
      if let last = listeners.last { continuation.yield(last) }
      if listeners.isEnded { return nil }
      listeners.lastID += 1
      listeners.continuations[listeners.lastID] = continuation
      return listeners.lastID
    }
    guard let id else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in
      self?.listeners.withLock { _ = $0.continuations.removeValue(forKey: id) }
    }
    return stream
  }

  /// Publishes the state to all listeners if it has changed.
  ///
  /// - Parameter current: evaluated under the lock, so that no older state follows a newer one.
  func update(_ current: () -> State) {
    listeners.withLock { $0.publish(current()) }
  }

  func end() {
    let continuations = listeners.withLock { listeners in
      listeners.isEnded = true
      return Array(listeners.continuations.values)
    }
    for continuation in continuations { continuation.finish() }
  }
}
