internal import Core
internal import FramedTransport
public import NearCache
internal import Network
internal import RPC
internal import TLS

/// Answers *which config is in force for this key?*, from a near cache that the servers' notices keep true, or from a
/// server. Any thread; one for a process is enough.
///
/// It never goes back in time: what it has shown of an entity is the least that it asks any server for. A lookup that
/// cannot be answered (a server is gone, drains, or is behind) is tried again, at another server too, until its
/// timeout.
public final class ConfigLookupClient: Sendable {
  public enum State: Sendable, Hashable {
    /// There was no connection yet.
    case notReady
    /// Every change is heard of: what is kept is true.
    case ready
    /// The connection is lost: what is kept is given for its time.
    case stale
    /// There was no connection for long, or the servers do not let this client in.
    case error
  }

  let configuration: ClientConfiguration
  let position = Position()
  let cache: NearCache<Kept>?
  let metadata: RPCMetadata
  let supervisor: Supervisor
  let watcher: Watcher
  private let stateFeed = StateFeed()

  /// Checks the configuration, and begins to connect. ``close()`` ends it, or its release.
  ///
  /// - Throws: ``ConfigLookupError`` with the code `invalidArgument`, which names what is wrong.
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
    supervisor = Supervisor(targets, longestBackoff: configuration.longestBackoff)
    watcher.start { [weak self] in self?.stateChanged() }
    supervisor.start(
      isUp: { [watcher] in watcher.connected($0) },
      isDown: { [weak self, watcher] in
        watcher.disconnected($0)
        self?.lookAgainLater()
      })
    lookAgainLater()
  }

  /// What ``close()`` does, for a client that is released without.
  deinit { close() }

  /// Ends connections and sequences; calls that are open fail.
  public func close() {
    watcher.close()
    supervisor.close()
    stateFeed.end()
  }

  /// Drops the connection, as a network might, for tests.
  package func loseConnection() {
    supervisor.loseConnection()
  }

  // MARK: State

  public var state: State {
    if watcher.isLive { return .ready }
    if watcher.refusal != nil || supervisor.secondsDown >= configuration.errorAfter { return .error }
    return watcher.wasLive ? .stale : .notReady
  }

  /// The state as it is, and then each other one.
  public func states() -> AsyncStream<State> { stateFeed.states { state } }

  /// Waits until every change is heard of, or throws after `timeout` seconds what is in the way.
  public func ready(timeout: Double = 10) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for await state in self.states() {
          if state == .ready { return }
          if let refusal = self.watcher.refusal { throw ConfigLookupError(refusal) }
        }
        throw ConfigLookupError.isClosed
      }
      group.addTask {
        try await Task.sleep(nanoseconds: UInt64(timeout * 1e9))
        let addresses = self.configuration.addresses.joined(separator: ", ")
        let problem = self.supervisor.lastProblem.map { ": \($0)" } ?? ""
        throw ConfigLookupError(
          code: .unavailable, message: "no connection to \(addresses) within \(timeout) s\(problem)")
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private func stateChanged() {
    stateFeed.update { state }
  }

  /// Being without a connection for long is a state of its own.
  private func lookAgainLater() {
    stateChanged()
    let seconds = configuration.errorAfter + 0.01
    Task { [weak self] in
      try? await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
      self?.stateChanged()
    }
  }

  /// What has changed from now on, over all connections.
  public func invalidations() -> Invalidations { watcher.invalidations() }

  /// What the near cache has done; nil without one.
  public var statistics: NearCacheStatistics? { cache?.statistics }

  /// Reads a value of the configuration by the rule of ``WrittenText``, as flags and variables are.
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
    ] where !(value > 0) { throw wrong(name, "\(value) is not above 0") }
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
        target.connectSeconds = configuration.connectTimeout
        targets.append(target)
      } catch {
        throw wrong("addresses", error.message)
      }
    }
    return targets
  }
}
