internal import Core

/// Tells who listens how the client is doing. Any thread.
final class StateFeed: Sendable {
  typealias State = ConfigLookupClient.State

  private struct Listeners: Sendable {
    var continuations: [UInt64: AsyncStream<State>.Continuation] = [:]
    var lastID: UInt64 = 0
    var last: State?
    var isEnded = false
  }

  private let listeners = Locked(Listeners())

  /// The state as it is, and then each other one. A slow listener hears of the latest.
  func states(_ current: State) -> AsyncStream<State> {
    let (stream, continuation) = AsyncStream.makeStream(of: State.self, bufferingPolicy: .bufferingNewest(1))
    let id = listeners.withLock { listeners in
      listeners.lastID += 1
      if !listeners.isEnded { listeners.continuations[listeners.lastID] = continuation }
      return listeners.isEnded ? nil : listeners.lastID
    }
    continuation.yield(current)
    guard let id else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in
      self?.listeners.withLock { _ = $0.continuations.removeValue(forKey: id) }
    }
    return stream
  }

  func changed(_ state: State) {
    let continuations = listeners.withLock { listeners -> [AsyncStream<State>.Continuation] in
      guard listeners.last != state else { return [] }
      listeners.last = state
      return Array(listeners.continuations.values)
    }
    for continuation in continuations { continuation.yield(state) }
  }

  func end() {
    let continuations = listeners.withLock { listeners in
      listeners.isEnded = true
      return Array(listeners.continuations.values)
    }
    for continuation in continuations { continuation.finish() }
  }
}
