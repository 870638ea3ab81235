internal import Core
internal import FramedTransport
internal import Network
internal import RPC
internal import TLS

/// Keeps one connection up, at one server or another, and hands it out. Any thread.
final class Supervisor: Sendable {
  typealias Waiter = CheckedContinuation<FramedChannel, any Error>

  private struct State: Sendable {
    var channel: FramedChannel?
    var isEnded = false
    /// When a connection was last there, or the client began.
    var lastUp = MonotonicTime.now
    /// Every address was tried since, and refused.
    var failedTries = 0
    /// Why the latest connection ended or did not come about.
    var lastProblem: RPCClientError?
    var waiters: [UInt64: Waiter] = [:]
    var lastWaiter: UInt64 = 0
    var lastHop: MonotonicTime?
  }

  private let targets: [FramedChannel.Target]
  private let longestBackoff: Double
  private let state = Locked(State())
  private let task = Locked<Task<Void, Never>?>(nil)
  private let isDown = LateFunction<FramedChannel, Void>()

  init(_ targets: [FramedChannel.Target], longestBackoff: Double) {
    self.targets = targets
    self.longestBackoff = longestBackoff
  }

  /// To be followed by ``close()``.
  ///
  /// - Parameters:
  ///   - isUp: called for each new connection, before it is handed out.
  ///   - isDown: called with a connection that is lost, or is to be left.
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

  /// Seconds without a connection; 0 while there is one.
  var secondsDown: Double {
    state.withLock { $0.channel == nil ? MonotonicTime.now.seconds(since: $0.lastUp) : 0 }
  }

  /// Whether there is no connection, and none could be made at any address.
  var isFailing: Bool { state.withLock { $0.channel == nil && $0.failedTries >= targets.count } }

  /// Why the latest connection ended or did not come about.
  var lastProblem: RPCClientError? { state.withLock { $0.lastProblem } }

  /// The connection; waits for one until the deadline.
  func channel(deadline: MonotonicTime) async throws -> FramedChannel {
    let (channel, id) = state.withLock { state in
      state.lastWaiter += 1
      return (state.channel, state.lastWaiter)
    }
    if let channel { return channel }
    let timeout = Task { [weak self] in
      try? await Task.sleep(nanoseconds: UInt64(deadline.seconds(since: .now) * 1e9))
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

  /// The server of this connection cannot answer: the next one may. Not oftener than once a second.
  func hop(from channel: FramedChannel) {
    guard targets.count > 1 else { return }
    let isDue = state.withLock { state in
      guard state.channel === channel else { return false }
      let now = MonotonicTime.now
      if let last = state.lastHop, now.seconds(since: last) < 1 { return false }
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
    var backoff = Backoff(firstSeconds: 0.05, limitSeconds: longestBackoff)
    // Not all clients at the first address.
    var place = Int.random(in: 0..<targets.count)
    while !Task.isCancelled {
      let wait = backoff.next()
      if wait > 0 { try? await Task.sleep(nanoseconds: UInt64(wait * 1e9)) }
      if Task.isCancelled { return }
      let began = MonotonicTime.now
      // One that is made and lost at once is no reason to hurry.
      if await connect(targets[place % targets.count], isUp), MonotonicTime.now.seconds(since: began) > 1 {
        backoff.reset()
      }
      place += 1
    }
  }

  /// Connects, and returns when that connection takes no new calls any more. Whether it came about.
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
      // Left by `hop`.
      if wasOpen, state.withLock({ $0.channel !== channel }) { return true }
    }
    // Cancelled.
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
