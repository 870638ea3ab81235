// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// A socket's place in a cluster.
enum Endpoint: Hashable, Sendable {
  case member(shard: Int, index: Int)
  case router(Int)
}

/// A replica set, or the shards and the routers of a sharded cluster.
struct Cluster {
  var shards: [MongodModel]
  var routers: [Router] = []
  /// The members whose sockets are open but silent: a black hole.
  var silent: Set<Endpoint> = []

  mutating func advance(now: Double, wallNow: Int64) {
    for index in shards.indices { shards[index].advance(now: now, wallNow: wallNow) }
  }

  mutating func handle(_ request: Request, at endpoint: Endpoint, _ attempt: inout Attempt) -> Outcome {
    switch endpoint {
    case .member(let shard, let index): shards[shard].handle(request, at: index, &attempt)
    case .router(let index): routers[index].handle(request, &shards, &attempt)
    }
  }

  /// Changes when something has changed that a waiting command may wait for.
  var changeCount: Int { shards.reduce(0) { $0 + $1.set.changeCount } }

  /// Changes when an awaited `hello` of a member has an answer.
  var topologyCount: Int64 {
    shards.reduce(0) { sum, shard in shard.set.members.reduce(sum) { $0 + $1.topologyCounter } }
  }

  /// Whether time alone changes something soon.
  var isDelayed: Bool {
    shards.contains { shard in
      shard.set.commitDelay > 0 || shard.set.members.contains { $0.replicationDelay > 0 }
    }
  }

  /// Whether a process listens.
  func isUp(_ endpoint: Endpoint) -> Bool {
    switch endpoint {
    case .member(let shard, let index): shards[shard].set.members[index].isUp
    case .router: true
    }
  }

  /// Grows each time all connections of a process are closed.
  func disconnections(_ endpoint: Endpoint) -> Int {
    switch endpoint {
    case .member(let shard, let index): shards[shard].set.members[index].disconnections
    case .router(let index): routers[index].disconnections
    }
  }
}
