// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import FramedTransport

/// Keeps one connection to one of the servers, and gives it to callers. Any thread.
final class ConnectionSupervisor: Sendable {
  typealias Waiter = CheckedContinuation<FramedChannel, any Error>

  private struct State: Sendable {
    var channel: FramedChannel?
    var isEnded = false
    /// When a connection was last open, or when the client was made.
    var lastUp = MonotonicTime.now
    /// The number of failed connection attempts since the last success.
    var failedTries = 0
    /// The reason why the latest connection ended or could not be established.
    var lastProblem: RPCClientError?
    var waiters: [UInt64: Waiter] = [:]
    var lastWaiter: UInt64 = 0
    var lastHop: MonotonicTime?
  }

  private let targets: [FramedChannel.Target]
  private let longestBackoff: Duration
  private let state = Locked(State())
  private let task = Locked<Task<Void, Never>?>(nil)
  private let isDown = LateFunction<FramedChannel, Void>()

  init(_ targets: [FramedChannel.Target], longestBackoff: Duration) {
    self.targets = targets
    self.longestBackoff = longestBackoff
  }

  /// Starts to connect. The caller must call ``close()`` in the end.
  ///
  /// - Parameters:
  ///   - isUp: called for each new connection, before any caller gets it.
  ///   - isDown: called for a connection that was lost or is to be left.
  func start(
    isUp: @escaping @Sendable (FramedChannel) -> Void, isDown: @escaping @Sendable (FramedChannel) -> Void
  ) {
    self.isDown.set(isDown)
    task.withLock { $0 = Task { await run(isUp) } }
  }

  func close() {
    let (channel, waiters) = state.withLock { state -> (FramedChannel?, [Waiter]) in
      state.isEnded = true
      defer {
        state.channel = nil
        state.waiters = [:]
      }
      return (state.channel, Array(state.waiters.values))
    }
    let task = task.withLock { $0 }
    task?.cancel()
    channel?.close()
    for waiter in waiters { waiter.resume(throwing: ConfigLookupError.isClosed) }
  }

  func loseConnection() {
    state.withLock { $0.channel }?.close()
  }

  /// The time since the last connection; zero while there is one.
  var downtime: Duration {
    state.withLock { $0.channel == nil ? MonotonicTime.now.duration(since: $0.lastUp) : .zero }
  }

  /// Whether there is no connection and each address has been tried without success.
  var isFailing: Bool { state.withLock { $0.channel == nil && $0.failedTries >= targets.count } }

  /// The reason why the latest connection ended or could not be established.
  var lastProblem: RPCClientError? { state.withLock { $0.lastProblem } }

  /// Returns the connection, and waits for one until the deadline.
  ///
  /// - Parameter deadline: when the call fails with the code `unavailable`.
  /// - Returns: the current connection.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  func channel(deadline: MonotonicTime) async throws -> FramedChannel {
    let (channel, id) = state.withLock { state in
      state.lastWaiter += 1
      return (state.channel, state.lastWaiter)
    }
    if let channel { return channel }
    let timeout = Task { [weak self] in
      try? await Task.sleep(nanoseconds: UInt64(clamping: deadline.duration(since: .now).nanoseconds))
      self?.leave(id, ConfigLookupError(code: .unavailable, message: "no connection to any server in time"))
    }
    defer { timeout.cancel() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (waiter: Waiter) in
        let outcome = state.withLock { state -> Result<FramedChannel, any Error>? in
          if Task.isCancelled { return .failure(CancellationError()) }
          if state.isEnded { return .failure(ConfigLookupError.isClosed) }
          if deadline <= .now {
            return .failure(ConfigLookupError(code: .unavailable, message: "no connection to any server in time"))
          }
          if let channel = state.channel { return .success(channel) }
          state.waiters[id] = waiter
          return nil
        }
        if let outcome { waiter.resume(with: outcome) }
      }
    } onCancel: {
      leave(id, CancellationError())
    }
  }

  private func leave(_ id: UInt64, _ error: any Error) {
    let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
    waiter?.resume(throwing: error)
  }

  /// Leaves a connection whose server cannot answer, so that the next address is tried. At most once per second, and
  /// only if there are several addresses.
  func hop(from channel: FramedChannel) {
    guard targets.count > 1 else { return }
    let isDue = state.withLock { state in
      guard state.channel === channel else { return false }
      let now = MonotonicTime.now
      if let last = state.lastHop, now.duration(since: last) < .seconds(1) { return false }
      state.lastHop = now
      return true
    }
    guard isDue else { return }
    retire(channel)
    channel.finish()
  }

  private func retire(_ channel: FramedChannel) {
    let wasCurrent = state.withLock { state in
      guard state.channel === channel else { return false }
      state.channel = nil
      state.lastUp = .now
      return true
    }
    if wasCurrent { _ = isDown(channel) }
  }

  // MARK: Connections, one after the other

  private func run(_ isUp: @Sendable (FramedChannel) -> Void) async {
    var backoff = Backoff(initial: .milliseconds(50), maximum: longestBackoff)
    // A random first address distributes clients over the servers.
    var place = Int.random(in: 0..<targets.count)
    while !Task.isCancelled {
      let wait = backoff.next()
      if wait > .zero { try? await Task.sleep(for: wait) }
      if Task.isCancelled { return }
      let began = MonotonicTime.now
      // A connection that is lost within a second of its attempt does not reset the backoff.
      if await connect(targets[place % targets.count], isUp), MonotonicTime.now.duration(since: began) > .seconds(1) {
        backoff.reset()
      }
      place += 1
    }
  }

  /// Connects to a server, and returns when the connection accepts no new calls any more. Returns whether it was
  /// established.
  private func connect(_ target: FramedChannel.Target, _ isUp: @Sendable (FramedChannel) -> Void) async -> Bool {
    let (events, feed) = AsyncStream.makeStream(of: FramedChannel.Event.self)
    let channel = FramedChannel(target) { event in
      feed.yield(event)
      if case .ended = event { feed.finish() }
    }
    var wasOpen = false
    for await event in events {
      switch event {
      case .opened:
        wasOpen = true
        isUp(channel)
        handOut(channel)
      case .goAway:
        retire(channel)
        channel.finish()
        return wasOpen
      case .ended(let problem):
        retire(channel)
        state.withLock { state in
          state.lastProblem = problem
          if !wasOpen { state.failedTries += 1 }
        }
        return wasOpen
      }
      // `hop` has left this connection.
      if wasOpen, state.withLock({ $0.channel !== channel }) { return true }
    }
    // The task was cancelled.
    channel.close()
    return wasOpen
  }

  private func handOut(_ channel: FramedChannel) {
    let waiters = state.withLock { state -> [Waiter] in
      guard !state.isEnded else { return [] }
      state.channel = channel
      state.failedTries = 0
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.resume(returning: channel) }
  }
}

extension ConfigLookupError {
  static let isClosed = ConfigLookupError(code: .closed, message: "the client has been closed")
}
