// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC
public import ConfigLookupTLS

/// A connection that many tasks share. Calls are sent in batches and answered in any order.
///
/// The channel has its own thread and lasts for one connection; create another channel for the next connection. It may
/// be used from any thread.
public final class FramedChannel: Sendable {
  /// An event of the connection. The events occur in this order, and are reported on the channel's thread.
  public enum Event: Sendable {
    /// The connection has been established.
    case opened
    /// The server accepts no new calls; open calls continue.
    case goAway(reason: String)
    /// The connection has ended, and all open calls have received an error. This is the last event.
    case ended(RPCClientError)
  }

  /// The server to connect to, and the options of the connection.
  public struct Target: Sendable {
    /// The address of the server.
    public var address: HostAndPort
    /// The TLS configuration; nil for cleartext.
    public var tls: TLSContext?
    /// The name for which the server's certificate must be valid; nil for the host of the address.
    public var serverName: String?
    /// Maximum time to establish the connection.
    public var connectTimeout = Duration.seconds(5)
    /// Time without a byte from the server after which a ping is sent. If no byte is received within the
    /// same time again, the connection ends.
    public var keepaliveTime = Duration.seconds(10)

    /// Creates a target with the default timeouts.
    ///
    /// - Parameters:
    ///   - address: The address of the server.
    ///   - tls: The TLS configuration; nil for cleartext.
    ///   - serverName: The name for which the server's certificate must be valid; nil for the host of the address.
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
    /// Whether the thread has been signalled and has not taken the output since.
    var isWoken = false
    /// Whether the connection ends when the last open call has ended.
    var isFinishing = false
    var end: RPCClientError?
  }

  private let target: Target
  private let state = Locked(State())
  /// Nil if no file descriptor was available.
  private let wakeDescriptor: WakeDescriptor?
  private let onEvent: @Sendable (Event) -> Void

  /// Connects on a new thread.
  ///
  /// - Parameters:
  ///   - target: The server to connect to, and the options of the connection.
  ///   - onEvent: Receives the events of the connection, on the channel's thread.
  public init(_ target: Target, onEvent: @escaping @Sendable (Event) -> Void) {
    self.target = target
    self.onEvent = onEvent
    wakeDescriptor = try? WakeDescriptor()
    // The thread holds the channel until the connection ends, so the channel is never released by a thread that would
    // have to join itself.
    detachThread(name: "channel") { self.run() }
  }

  // MARK: Calls

  /// Makes a unary call. Cancelling the task cancels the call.
  ///
  /// - Parameters:
  ///   - method: The name of the method.
  ///   - request: The encoded request message.
  ///   - timeout: The timeout of the call, in whole milliseconds, at least 1.
  ///   - metadata: The metadata of the call.
  /// - Returns: The reply, which may have an error status.
  /// - Throws: ``RPCClientError`` if no reply is received in time or the connection ends; `CancellationError` if the
  ///   task is cancelled.
  public func call(
    _ method: String, _ request: [UInt8], timeout: Duration, metadata: RPCMetadata = RPCMetadata()
  ) async throws -> RPCClientReply {
    let id = try nextID()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (waiter: Waiter) in
        let problem = state.withLock { state -> (any Error)? in
          // This is checked under the lock, so that the cancellation handler below either finds the call or has run
          // before.
          if Task.isCancelled { return CancellationError() }
          if let end = state.end { return end }
          let deadline = MonotonicTime.now.advanced(by: timeout)
          state.calls[id] = .unary(waiter, deadline: deadline)
          state.output += FrameEncoder.call(
            id: id, method: method, request: request, timeout: timeout, metadata: metadata)
          return nil
        }
        if let problem { waiter.resume(throwing: problem) } else { wake() }
      }
    } onCancel: {
      guard case .unary(let waiter, _)? = remove(id, sendsCancel: true) else { return }
      waiter.resume(throwing: CancellationError())
    }
  }

  /// Opens a stream of replies.
  ///
  /// - Parameters:
  ///   - method: The name of the method.
  ///   - request: The encoded request message.
  ///   - metadata: The metadata of the call.
  ///   - onReply: Called on the channel's thread for each reply, of which the last has `more` false, or once with the
  ///     error that ended the connection. The channel reads nothing while the function runs, so a slow function slows
  ///     down a server that sends faster (backpressure).
  /// - Returns: The id of the call, for ``cancel(_:)``.
  /// - Throws: The error that ended the connection, if it has ended.
  public func stream(
    _ method: String, _ request: [UInt8], metadata: RPCMetadata = RPCMetadata(),
    onReply: @escaping @Sendable (Result<RPCClientReply, RPCClientError>) -> Void
  ) throws(RPCClientError) -> UInt32 {
    let id = try nextID()
    try state.withLock { state throws(RPCClientError) in
      if let end = state.end { throw end }
      state.calls[id] = .stream(onReply)
      state.output += FrameEncoder.call(
        id: id, method: method, request: request, timeout: nil, metadata: metadata)
    }
    wake()
    return id
  }

  /// Cancels a stream. A reply that the server has already sent may still be delivered.
  ///
  /// - Parameter id: The id that ``stream(_:_:metadata:onReply:)`` returned.
  public func cancel(_ id: UInt32) {
    _ = remove(id, sendsCancel: true)
  }

  /// Ends the connection when the last open call has ended.
  public func finish() {
    state.withLock { $0.isFinishing = true }
    wake()
  }

  /// Ends the connection now. Open calls receive an error.
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
        target.address, tls: target.tls, serverName: target.serverName, connectTimeout: target.connectTimeout)
      client.callTimeout = target.keepaliveTime * 2
      onEvent(.opened)
      try serve(client, wakeDescriptor)
    } catch {
      endNow(error)
      onEvent(.ended(error))
    }
  }

  /// Writes and reads until the connection ends, and throws the error that ended it.
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
      if now.duration(since: lastExpired) >= .milliseconds(50) {
        lastExpired = now
        expire(now)
      }
      let silence = now.duration(since: lastHeard)
      if silence >= target.keepaliveTime * 2 {
        throw RPCClientError(
          .timedOut, "\(target.address)", "the server sent nothing for \((target.keepaliveTime * 2).seconds) s")
      }
      if asked == nil, silence >= target.keepaliveTime {
        asked = now
        try client.send(FrameEncoder.ping(1))
      }
      let rest = target.keepaliveTime * (asked == nil ? 1 : 2) - silence
      // A call without a reply may exceed its timeout by at most this interval.
      let wait = hasUnary ? min(rest, .milliseconds(50)) : rest
      client.wait(orReadable: wakeDescriptor.descriptor, deadline: now.advanced(by: wait))
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

  /// Ends the unary calls whose timeout has passed. The server normally answers such a call with DEADLINE_EXCEEDED, so
  /// this is only reached if the server is late.
  private func expire(_ now: MonotonicTime) {
    let late = state.withLock { state -> [Waiter] in
      var late: [Waiter] = []
      for (id, call) in state.calls {
        guard case .unary(let waiter, let deadline) = call, now >= deadline.advanced(by: .milliseconds(200)) else {
          continue
        }
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
