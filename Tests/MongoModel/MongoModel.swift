// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc
internal import TestSupport

/// A MongoDB deployment in this process that behaves as mongod on the wire, and as a scenario tells it.
///
/// A state machine without time and threads (`Cluster`) holds the rules; one thread owns the sockets and tells it the
/// time. Any thread may use this class. It ends with ``close()``.
public final class MongoModel: Sendable {
  let shared: SharedCluster
  /// The port of each member of each shard, on 127.0.0.1.
  public let memberPorts: [[UInt16]]
  /// The port of each router.
  public let routerPorts: [UInt16]
  private let setName: String?
  private let state: Locked<State>
  private let wakeUp: Int32

  private struct State: Sendable {
    var isClosed = false
    var thread: OSThread?
  }

  /// Starts a deployment.
  ///
  /// - Parameters:
  ///   - personality: the version or product that it behaves as.
  ///   - members: the number of members of each replica set, with the arbiters.
  ///   - arbiters: how many of the members are arbiters, the last ones.
  ///   - shards: the number of shards.
  ///   - routers: the number of routers; none for a replica set.
  ///   - seed: the seed of all ids.
  /// - Throws: `TestFailure` if there is no free port.
  public init(
    _ personality: Personality = .mongoDB80, members: Int = 1, arbiters: Int = 0, shards: Int = 1, routers: Int = 0,
    seed: UInt64 = 1
  ) throws {
    var free: Set<UInt16> = []
    while free.count < shards * members + routers { free.insert(try freePort()) }
    var ports = Array(free)
    var endpoints: [Endpoint: UInt16] = [:]
    var models: [MongodModel] = []
    var allPorts: [[UInt16]] = []
    for shard in 0..<shards {
      let own = Array(ports.prefix(members))
      ports.removeFirst(members)
      allPorts.append(own)
      for (index, port) in own.enumerated() { endpoints[.member(shard: shard, index: index)] = port }
      let set = ReplicaSet(
        name: "rs\(shard)", ports: own, arbiters: arbiters, seed: seed &+ UInt64(shard) &* 7919,
        wallNow: WallTime.now.milliseconds, now: MonotonicTime.now.modelSeconds)
      var model = MongodModel(set: set, personality: personality)
      if shards > 1 { model.shardKey = "shard\(shard)" }
      models.append(model)
    }
    memberPorts = allPorts
    routerPorts = ports
    for (index, port) in ports.enumerated() { endpoints[.router(index)] = port }
    setName = personality.isReplicaSet && routers == 0 ? "rs0" : nil
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw TestFailure("pipe: \(String(cString: strerror(errno)))") }
    for end in ends { makeOurs(end) }
    wakeUp = ends[1]
    shared = SharedCluster(Cluster(shards: models, routers: ports.map { _ in Router() }), wakeUp: ends[1])
    let (shared, state, woken, sockets) = (shared, Locked(State()), ends[0], endpoints)
    self.state = state
    let thread = OSThread(name: "mongo-model") {
      var server = WireServer(shared, ports: sockets, woken: woken)
      while !state.withLock(\.isClosed) { server.turn() }
      server.close()
      Glibc.close(woken)
    }
    state.withLock { $0.thread = thread }
  }

  deinit {
    close()
  }

  /// The connection string: of all members, or of all routers.
  public var uri: String {
    let hosts = (routerPorts.isEmpty ? memberPorts.joined().map { $0 } : routerPorts).map { "127.0.0.1:\($0)" }
    return "mongodb://\(hosts.joined(separator: ","))/" + (setName.map { "?replicaSet=\($0)" } ?? "")
  }

  /// Closes all sockets and ends the thread.
  public func close() {
    let thread = state.withLock { state in
      state.isClosed = true
      defer { state.thread = nil }
      return state.thread
    }
    guard let thread else { return }
    shared.change { _ in }
    thread.join()
    Glibc.close(wakeUp)
  }
}
