// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import FramedTransport
public import NearCache

/// A client that answers *which config is in force for this key?* from a near cache, which the servers' notices keep
/// current, or from a server.
///
/// All members may be called on any thread. One client for each process is enough.
///
/// Reads are monotonic: each lookup carries the highest revision that this client has returned for the entity, so no
/// server may answer with an older one. A lookup that cannot be answered (the server is gone, is draining, or is behind
/// that revision) is retried until its timeout, on other servers too.
public final class ConfigLookupClient: Sendable {
  /// How well this client is connected to the servers.
  public enum State: Sendable, Hashable {
    /// The client has not been connected yet.
    case notReady
    /// Connected, and every change reaches this client: the near cache is current.
    case ready
    /// The connection is lost: cached answers are returned until their time to live ends, and after it as stale ones.
    case stale
    /// The client has not been connected for ``ClientConfiguration/errorAfter``, or the server rejected its
    /// credentials.
    case error
  }

  let configuration: ClientConfiguration
  let position = Position()
  let cache: NearCache<CachedValue>?
  let metadata: RPCMetadata
  let supervisor: ConnectionSupervisor
  let watcher: Watcher
  private let stateFeed = StateFeed()

  /// Checks the configuration and starts to connect in the background. The connection ends with ``close()`` or when the
  /// client is released.
  ///
  /// - Parameter configuration: the servers, credentials, timeouts and limits of the near cache.
  /// - Throws: ``ConfigLookupError`` with the code `invalidArgument`, whose message names the field at fault.
  public init(_ configuration: ClientConfiguration) throws {
    self.configuration = configuration
    let targets = try Self.targets(configuration)
    var metadata = RPCMetadata()
    if let token = configuration.token {
      metadata.append("authorization", "Bearer \(try Self.written("token", token))")
    }
    self.metadata = metadata
    cache = configuration.nearCache.map { limits in
      NearCache(
        NearCacheOptions(
          maximumEntries: limits.maximumEntries, maximumBytes: limits.maximumBytes,
          policies: Keys.policies(limits.policies),
          defaultPolicy: limits.defaultPolicy, byteCount: { 2 * $0.byteCount }))
    }
    watcher = Watcher(
      position: position, cache: cache, pushesValues: configuration.pushesValues, metadata: metadata)
    supervisor = ConnectionSupervisor(targets, longestBackoff: configuration.longestBackoff)
    watcher.start { [weak self] in self?.stateChanged() }
    supervisor.start(
      isUp: { [watcher] in watcher.connected($0) },
      isDown: { [weak self, watcher] in
        watcher.disconnected($0)
        self?.lookAgainLater()
      })
    lookAgainLater()
  }

  /// Closes a client that is released without a call of ``close()``.
  deinit { close() }

  /// Closes the connection and ends all sequences of this client. Calls that are in progress fail.
  public func close() {
    watcher.close()
    supervisor.close()
    stateFeed.end()
  }

  /// Closes the current connection, as a network failure would. For tests.
  package func loseConnection() {
    supervisor.loseConnection()
  }

  // MARK: State

  /// The current state. It may change at any time; ``states()`` follows it.
  public var state: State {
    if watcher.isLive { return .ready }
    if watcher.refusal != nil || supervisor.downtime >= configuration.errorAfter { return .error }
    return watcher.wasLive ? .stale : .notReady
  }

  /// Follows the state of this client.
  ///
  /// - Returns: a sequence of the current state and then of each different one. A reader that does not keep up receives
  ///   the latest. It ends with ``close()``.
  public func states() -> AsyncStream<State> { stateFeed.states { state } }

  /// Waits until this client is connected and every change reaches it (``State/ready``).
  ///
  /// - Parameter timeout: how long to wait at most.
  /// - Throws: ``ConfigLookupError``: `notAllowed` if the server rejects the credentials; `unavailable` after
  ///   `timeout`, with the latest problem of the connection in its message; `closed` if the client is closed. If the
  ///   task is cancelled, that or a `CancellationError`.
  public func ready(timeout: Duration = .seconds(10)) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for await state in self.states() {
          if state == .ready { return }
          if let refusal = self.watcher.refusal { throw ConfigLookupError(refusal) }
        }
        throw ConfigLookupError.isClosed
      }
      group.addTask {
        try await Task.sleep(nanoseconds: UInt64(clamping: timeout.nanoseconds))
        let addresses = self.configuration.addresses.joined(separator: ", ")
        let problem = self.supervisor.lastProblem.map { ": \($0)" } ?? ""
        throw ConfigLookupError(
          code: .unavailable, message: "no connection to \(addresses) within \(timeout.seconds) s\(problem)")
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private func stateChanged() {
    stateFeed.update { state }
  }

  /// Publishes the state now, and once more when a missing connection turns into ``State/error``: that change is caused
  /// by the passing of time, not by an event.
  private func lookAgainLater() {
    stateChanged()
    let delay = UInt64(clamping: configuration.errorAfter.nanoseconds) + 10_000_000
    Task { [weak self] in
      try? await Task.sleep(nanoseconds: delay)
      self?.stateChanged()
    }
  }

  /// Follows the changes of answers from now on, over all connections.
  ///
  /// - Returns: a sequence for one reader. Call this function once for each reader.
  public func invalidations() -> Invalidations { watcher.invalidations() }

  /// Counters of the near cache since the client was made; nil if it has none.
  public var statistics: NearCacheStatistics? { cache?.statistics }

  /// Reads a value of the configuration by the rules of ``WrittenText``, which apply to flags and environment variables
  /// too.
  private static func written(_ field: String, _ text: String) throws(ConfigLookupError) -> String {
    do throws(WrittenTextProblem) {
      let value = try WrittenText.value(text)
      if !value.isEmpty { return value }
    } catch {
      throw ConfigLookupError(code: .invalidArgument, message: "\(field): \(error)")
    }
    throw ConfigLookupError(code: .invalidArgument, message: "\(field): is empty; use nil for none")
  }

  private static func targets(_ configuration: ClientConfiguration) throws(ConfigLookupError) -> [FramedChannel.Target]
  {
    func wrong(_ field: String, _ problem: String) -> ConfigLookupError {
      ConfigLookupError(code: .invalidArgument, message: "\(field): \(problem)")
    }
    guard !configuration.addresses.isEmpty else { throw wrong("addresses", "is empty; give at least one HOST:PORT") }
    for (name, value) in [
      ("timeout", configuration.timeout), ("connectTimeout", configuration.connectTimeout),
      ("longestBackoff", configuration.longestBackoff), ("errorAfter", configuration.errorAfter),
    ] where value <= .zero { throw wrong(name, "\(value.seconds) s is not above 0") }
    var tls: TLSContext?
    if let wanted = configuration.tls {
      guard (wanted.certificate == nil) == (wanted.key == nil) else {
        throw wrong("tls", "a certificate needs its key")
      }
      do throws(TLSError) {
        var identity: TLSFiles?
        if let certificate = wanted.certificate, let key = wanted.key {
          identity = TLSFiles(certificate: certificate, key: key)
        }
        tls = try TLSContext(clientTrusting: wanted.authorities, identity: identity)
      } catch {
        throw wrong("tls", error.message)
      }
    }
    var targets: [FramedChannel.Target] = []
    for address in configuration.addresses {
      do throws(NetworkError) {
        var target = FramedChannel.Target(
          address: try HostAndPort(address), tls: tls, serverName: configuration.tls?.serverName)
        target.connectTimeout = configuration.connectTimeout
        targets.append(target)
      } catch {
        throw wrong("addresses", error.message)
      }
    }
    return targets
  }
}
