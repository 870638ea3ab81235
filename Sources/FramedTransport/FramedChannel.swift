internal import Core
public import Network
public import RPC
public import TLS

/// One connection that many tasks share: calls are written in blocks and answered in any order. It has a thread of its
/// own, and is used once: for the next connection, make another. Any thread.
public final class FramedChannel: Sendable {
  /// What becomes of the connection, in this order; on its thread.
  public enum Event: Sendable {
    case opened
    /// The server takes no new calls; those that are open go on.
    case goAway(reason: String)
    /// All that was open has been told. The last event.
    case ended(RPCClientError)
  }

  /// Where to connect, and how.
  public struct Target: Sendable {
    public var address: HostAndPort
    public var tls: TLSContext?
    public var serverName: String?
    public var connectSeconds = 5.0
    /// Without a byte from the server for so long, it is asked for a sign of life, and given as long again.
    public var quietSeconds = 10.0

    public init(address: HostAndPort, tls: TLSContext? = nil, serverName: String? = nil) {
      self.address = address
      self.tls = tls
      self.serverName = serverName
    }
  }

  typealias Waiter = CheckedContinuation<RPCClientReply, any Error>

  private enum Call: Sendable {
    case unary(Waiter, deadline: MonotonicTime)
    case stream(@Sendable (Result<RPCClientReply, RPCClientError>) -> Void)
  }

  private struct State: Sendable {
    var output: [UInt8] = []
    var calls: [UInt32: Call] = [:]
    var lastID: UInt32 = 0
    /// A byte is on its way to the thread.
    var isWoken = false
    /// It ends when the last call has.
    var isFinishing = false
    var end: RPCClientError?
  }

  private let target: Target
  private let state = Locked(State())
  /// Nil: there was no descriptor to be had.
  private let wakeDescriptor: WakeDescriptor?
  private let onEvent: @Sendable (Event) -> Void

  /// Connects, and says by `onEvent` what comes of it.
  public init(_ target: Target, onEvent: @escaping @Sendable (Event) -> Void) {
    self.target = target
    self.onEvent = onEvent
    wakeDescriptor = try? WakeDescriptor()
    // It holds the channel until it ends, so its thread is never the one to be joined.
    detachThread(name: "channel") { self.run() }
  }

  // MARK: Calls

  /// Makes a unary call. The reply may be an error's. Cancelling the task cancels the call.
  ///
  /// - Throws: ``RPCClientError``; `CancellationError`.
  public func call(
    _ method: String, _ request: [UInt8], timeoutSeconds: Double, metadata: RPCMetadata = RPCMetadata()
  ) async throws -> RPCClientReply {
    let id = try nextID()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (waiter: Waiter) in
        let problem = state.withLock { state -> (any Error)? in
          // Here, so that the handler below either finds the call or has come first.
          if Task.isCancelled { return CancellationError() }
          if let end = state.end { return end }
          let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
          state.calls[id] = .unary(waiter, deadline: deadline)
          state.output += FrameEncoder.call(
            id: id, method: method, request: request,
            timeoutMilliseconds: UInt32(max(1, min(timeoutSeconds * 1000, 4e9))), metadata: metadata)
          return nil
        }
        if let problem { waiter.resume(throwing: problem) } else { wake() }
      }
    } onCancel: {
      guard case .unary(let waiter, _)? = remove(id, sendsCancel: true) else { return }
      waiter.resume(throwing: CancellationError())
    }
  }

  /// Opens a stream of replies. `onReply` is called on the channel's thread: for each reply, of which the last has
  /// `more` false, or once with what ended the connection. While it works nothing is read, so a server that sends more
  /// than it takes is held up. Gives an id for ``cancel(_:)``.
  public func stream(
    _ method: String, _ request: [UInt8], metadata: RPCMetadata = RPCMetadata(),
    onReply: @escaping @Sendable (Result<RPCClientReply, RPCClientError>) -> Void
  ) throws(RPCClientError) -> UInt32 {
    let id = try nextID()
    try state.withLock { state throws(RPCClientError) in
      if let end = state.end { throw end }
      state.calls[id] = .stream(onReply)
      state.output += FrameEncoder.call(
        id: id, method: method, request: request, timeoutMilliseconds: 0, metadata: metadata)
    }
    wake()
    return id
  }

  /// Nobody waits for the stream any more. A reply that crossed it may still come.
  public func cancel(_ id: UInt32) {
    _ = remove(id, sendsCancel: true)
  }

  /// Ends when the last open call has.
  public func finish() {
    state.withLock { $0.isFinishing = true }
    wake()
  }

  /// Ends now.
  public func close() {
    endNow(RPCClientError(.connectionLost, "\(target.address)", "the connection has been closed"))
  }

  private func nextID() throws(RPCClientError) -> UInt32 {
    try state.withLock { state throws(RPCClientError) in
      if let end = state.end { throw end }
      repeat { state.lastID = state.lastID == .max ? 1 : state.lastID + 1 } while state.calls[state.lastID] != nil
      return state.lastID
    }
  }

  private func remove(_ id: UInt32, sendsCancel: Bool) -> Call? {
    let call = state.withLock { state -> Call? in
      guard let call = state.calls.removeValue(forKey: id) else { return nil }
      if sendsCancel { state.output += FrameEncoder.cancel(id: id) }
      return call
    }
    if call != nil { wake() }
    return call
  }

  private func wake() {
    let isNeeded = state.withLock { state in
      defer { state.isWoken = true }
      return !state.isWoken
    }
    if isNeeded { wakeDescriptor?.signal() }
  }

  private func endNow(_ error: RPCClientError) {
    let calls = state.withLock { state -> [Call] in
      if state.end == nil { state.end = error }
      defer { state.calls = [:] }
      return Array(state.calls.values)
    }
    for call in calls {
      switch call {
      case .unary(let waiter, _): waiter.resume(throwing: error)
      case .stream(let onReply): onReply(.failure(error))
      }
    }
    wake()
  }

  // MARK: The thread

  private func run() {
    do throws(RPCClientError) {
      guard let wakeDescriptor else {
        throw RPCClientError(
          .cannotConnect, "\(target.address)", "no free file descriptor; raise the limit of open files")
      }
      let client = try FramedClient(
        target.address, tls: target.tls, serverName: target.serverName, timeoutSeconds: target.connectSeconds)
      client.patienceSeconds = 2 * target.quietSeconds
      onEvent(.opened)
      try serve(client, wakeDescriptor)
    } catch {
      endNow(error)
      onEvent(.ended(error))
    }
  }

  /// Writes and reads until the connection ends, which is thrown.
  private func serve(_ client: FramedClient, _ wakeDescriptor: WakeDescriptor) throws(RPCClientError) -> Never {
    var lastHeard = MonotonicTime.now
    var asked: MonotonicTime?
    var lastExpired = lastHeard
    while true {
      wakeDescriptor.clear()
      let (output, hasUnary) = try takeOutput()
      if !output.isEmpty { try client.send(output) }
      while let event = try client.nextEventIfAny() {
        lastHeard = .now
        asked = nil
        handle(event)
      }
      let now = MonotonicTime.now
      if now.seconds(since: lastExpired) >= 0.05 {
        lastExpired = now
        expire(now)
      }
      if now.seconds(since: lastHeard) >= 2 * target.quietSeconds {
        throw RPCClientError(
          .timedOut, "\(target.address)", "the server sent nothing for \(2 * target.quietSeconds) s")
      }
      if asked == nil, now.seconds(since: lastHeard) >= target.quietSeconds {
        asked = now
        try client.send(FrameEncoder.ping(1))
      }
      let rest = (asked == nil ? 1.0 : 2.0) * target.quietSeconds - now.seconds(since: lastHeard)
      // A call that has no answer in time may be late by this much.
      let seconds = hasUnary ? min(rest, 0.05) : rest
      client.wait(orReadable: wakeDescriptor.descriptor, deadline: now.advanced(bySeconds: seconds))
    }
  }

  private func takeOutput() throws(RPCClientError) -> (bytes: [UInt8], hasUnary: Bool) {
    return try state.withLock { state throws(RPCClientError) in
      state.isWoken = false
      if let end = state.end { throw end }
      if state.isFinishing, state.calls.isEmpty, state.output.isEmpty {
        throw RPCClientError(.goAway, "\(target.address)", "the connection is no longer needed")
      }
      defer { state.output.removeAll(keepingCapacity: true) }
      let hasUnary = state.calls.values.contains { if case .unary = $0 { true } else { false } }
      return (state.output, hasUnary)
    }
  }

  private func handle(_ event: FramedEvent) {
    switch event {
    case .reply(let id, let reply):
      let call = state.withLock { state -> Call? in
        if reply.more, case .stream? = state.calls[id] { return state.calls[id] }
        return state.calls.removeValue(forKey: id)
      }
      switch call {
      case .unary(let waiter, _)?: waiter.resume(returning: reply)
      case .stream(let onReply)?: onReply(.success(reply))
      case nil: break
      }
    case .pong: break
    case .goAway(let reason): onEvent(.goAway(reason: reason))
    }
  }

  /// The server should have said so itself, so this is for one that is late.
  private func expire(_ now: MonotonicTime) {
    let late = state.withLock { state -> [Waiter] in
      var late: [Waiter] = []
      for (id, call) in state.calls {
        guard case .unary(let waiter, let deadline) = call, now >= deadline.advanced(bySeconds: 0.2) else { continue }
        late.append(waiter)
        state.calls[id] = nil
        state.output += FrameEncoder.cancel(id: id)
      }
      return late
    }
    for waiter in late {
      waiter.resume(throwing: RPCClientError(.timedOut, "\(target.address)", "no reply in time"))
    }
  }
}
