// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import FramedTransport
internal import GRPCTransport
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Servers that are replaced or stopped while clients use them.
@Suite struct RollingRestartTests {
  @Test func noLookupFailsAndNoNoticeIsMissedWhileBothServersAreReplaced() throws {
    try withDeployment { test in
      let addresses = [try freePort(), try freePort()].map { HostAndPort(host: "127.0.0.1", port: $0) }
      func start(_ address: HostAndPort) throws -> ServerProcess {
        let server = try ServerProcess(test.arguments + ["--listen", "\(address)"])
        _ = try server.address()
        return server
      }
      try test.agents.insert(Documents.agent("steady"))
      var servers = try addresses.map(start)
      let end = Switch()
      let caller = RetryingCaller(addresses, until: end)
      let follower = ResumingFollower(addresses, until: end)
      try poll("the watch has begun") { follower.seen.position > 0 }

      var written: [String: String] = [:]
      func write(_ number: Int) throws {
        let id = "a\(number % 10)"
        try test.agents.replace(Documents.selector("\(id):1.0.0"), with: Documents.agent(id, description: "\(number)"))
        written[id] = "\(number)"
      }
      var number = 0
      for index in servers.indices {
        let old = servers[index]
        old.child.send(SIGTERM)
        while old.child.isRunning {
          try write(number)
          number += 1
        }
        #expect(try old.child.waitForExit() == .exited(0))
        // Writes while only one server is running.
        for _ in 0..<10 {
          try write(number)
          number += 1
        }
        servers[index] = try start(addresses[index])
      }
      let calls = caller.count
      try poll("lookups go on") { caller.count > calls + 10 }
      try poll("the watch has seen the last of each key") {
        follower.seen.held == written
      }
      end.turnOn()
      try caller.finish()
      try follower.finish()
      #expect(follower.seen.resyncs == 0, "the servers knew what was missing")
      #expect(follower.seen.resumes >= 1)
    }
  }

  /// Calls in progress, calls that wait, and watches: each is answered, and the server exits with 0.
  @Test(arguments: ["frames", "gRPC"]) func everyOpenCallIsAnsweredWhenTheServerEndsUnderLoad(name: String) throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("steady"))
      let server = try ServerProcess(test.arguments)
      let address = try server.address()
      let end = Switch()
      let started = Locked(0)
      let load = (0..<4).map { _ in
        Background("load") {
          let client = try rpcClient(name, address)
          // Half a minute in the future: the call waits for some seconds and is rejected then.
          let ahead = UInt64(WallTime.now.milliseconds / 1000 + 30) << 32
          let waiting = try client.openCall("GetAgentConfig", lookup(notBefore: ahead))
          let watch = try client.openStream("WatchInvalidations", [])
          #expect(try client.nextReply(watch, deadline: soon()).more)
          started.withLock { $0 += 1 }
          while !end.isOn {
            for call in try openLookups(client) {
              let code = try client.nextReply(call, deadline: soon()).status.code
              // The drain may begin between two calls of a block: the later one gets UNAVAILABLE.
              #expect(code == .ok || code == .unavailable)
            }
          }
          #expect(try client.nextReply(waiting, deadline: soon()).status.code == .unavailable)
          var last = try client.nextReply(watch, deadline: soon())
          while last.more { last = try client.nextReply(watch, deadline: soon()) }
          #expect(last.status.code == .ok)
        }
      }
      try poll("all are at work") { started.withLock { $0 } == load.count }
      end.turnOn()
      server.child.send(SIGTERM)
      for one in load { try one.finish() }
      #expect(try server.child.waitForExit() == .exited(0))
      #expect(server.child.errorLines.allSatisfy { !$0.contains("drain_incomplete") })
    }
  }
}

/// Opens several calls at once; none after the server has sent GOAWAY.
private func openLookups(_ client: any RPCClient) throws -> [UInt32] {
  var calls: [UInt32] = []
  while calls.count < 32, client.goAwayReason == nil {
    calls.append(try client.openCall("GetAgentConfig", lookup()))
  }
  return calls
}

/// Connects over the named protocol.
private func rpcClient(_ name: String, _ address: HostAndPort) throws -> any RPCClient {
  name == "gRPC"
    ? try GRPCClient(address, service: "configlookup.v1.ConfigLookup") : try FramedClient(address)
}

/// Encodes a `GetAgentConfigRequest`, with a `min_revision` if it is to wait.
private func lookup(notBefore revision: UInt64 = 0) -> [UInt8] {
  let request = WireMessage().with(1, "steady")
  return (revision == 0 ? request : request.with(2, WireMessage().with(2, revision))).encoded
}

/// Looks up a key repeatedly, and on the other server if one does not answer.
private final class RetryingCaller: Sendable {
  private let answered = Locked(0)
  private let thread: Locked<Handed<Background>?>

  init(_ addresses: [HostAndPort], until end: Switch) {
    let answered = answered
    let background = Background("caller") {
      var clients: [TestClient?] = addresses.map { _ in nil }
      var at = 0
      func ask() throws {
        do {
          let client = try clients[at] ?? TestClient(addresses[at])
          clients[at] = client
          let reply = try client.agent("steady")
          guard reply.code == .ok else { throw reply.status }
        } catch {
          clients[at] = nil
          at = 1 - at
          throw error
        }
      }
      while !end.isOn {
        do { try ask() } catch { try ask() }
        answered.withLock { $0 += 1 }
      }
    }
    thread = Locked(Handed(background))
  }

  var count: Int { answered.withLock { $0 } }

  /// Throws if a lookup failed on both servers.
  func finish() throws {
    try thread.withLock { $0 }?.take().finish()
  }
}

/// Follows the agents on one server, and continues on the other when that one stops.
private final class ResumingFollower: Sendable {
  struct Seen: Sendable {
    var position: UInt64 = 0
    var epoch = ""
    var held: [String: String] = [:]
    var resyncs = 0
    var resumes = 0
  }

  private let state = Locked(Seen())
  private let thread: Locked<Handed<Background>?>

  init(_ addresses: [HostAndPort], until end: Switch) {
    let state = state
    let background = Background("follower") {
      var at = 0
      while !end.isOn {
        let seen = state.withLock { $0 }
        let request = Watch.Request(
          entities: [1], startRevision: seen.position, epoch: seen.epoch, includesValues: true,
          progressMilliseconds: 50)
        if let watch = try? Watch(addresses[at], request) {
          // Ends with the server, or with the test.
          while !end.isOn, let notice = try? watch.next() { state.withLock { $0.take(notice) } }
          state.withLock { $0.resumes += 1 }
        }
        at = 1 - at
      }
    }
    thread = Locked(Handed(background))
  }

  var seen: Seen { state.withLock { $0 } }

  func finish() throws {
    try thread.withLock { $0 }?.take().finish()
  }
}

extension ResumingFollower.Seen {
  fileprivate mutating func take(_ notice: WatchNotice) {
    epoch = notice.epoch
    switch notice.kind {
    case .upsert: held[notice.key] = notice.content
    case .delete: held[notice.key] = nil
    case .resync: resyncs += 1
    // Everything up to this revision has been sent: the watch on the next server starts here.
    case .progress: position = notice.revision
    case .unspecified: break
    }
  }
}
