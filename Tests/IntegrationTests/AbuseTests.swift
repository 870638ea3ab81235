// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import Foundation
internal import FramedTransport
internal import MongoSource
internal import ProtobufMessages
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Invalid input to the real server, in a process of its own. A second client gets its answers throughout.
@Suite struct AbuseTests {
  @Test func brokenFramesAreAnsweredWithGoAway() throws {
    try withServerUnderWatch { address in
      let good = FramedClient.encodeCall(id: 1, "GetAgentConfig", try agentRequest("a"))
      let broken: [(name: String, bytes: [UInt8], reason: String)] = [
        ("too long", [0, 1, 0, 1], "65537"),
        ("as long as can be", [0xFF, 0xFF, 0xFF, 0xFF], "4294967295"),
        ("garbage", [0, 0, 0, 4, 0xFF, 0xFF, 0xFF, 0xFF], ""),
        ("HTTP/1", Array("GET / HTTP/1.1\r\n\r\n".utf8), ""),
        ("a reply", [0, 0, 0, 4, 0x08, 0x01, 0x1A, 0x00], "only the server"),
        ("a go_away", [0, 0, 0, 2, 0x3A, 0x00], "only the server"),
      ]
      for (name, bytes, reason) in broken {
        let client = try FramedClient(address)
        // The calls before the broken frame are still answered.
        try client.send(good + bytes)
        let answered = try client.nextReply(1, deadline: soon())
        #expect(answered.status == .ok, "\(name)")
        let failure = #expect(throws: RPCClientError.self, "\(name)") {
          while true { _ = try client.nextEvent(deadline: soon()) }
        }
        #expect(failure?.code == .goAway, "\(name): \(failure.map { "\($0)" } ?? "")")
        #expect(client.goAwayReason.map { reason.isEmpty || $0.contains(reason) } == true, "\(name)")
        #expect(client.goAwayReason?.isEmpty == false, "\(name)")
      }
    }
  }

  @Test func aFrameCutShortIsDroppedWithItsConnection() throws {
    try withServerUnderWatch { address in
      let good = FramedClient.encodeCall(id: 1, "GetAgentConfig", try agentRequest("a"))
      for length in [1, 3, 4, 5, good.count - 1] {
        // The client disconnects in the middle of a frame: by a close, and by a reset.
        let closing = try RawSocket(address)
        _ = closing.sendSome(Array(good.prefix(length)))
        closing.close()
        let resetting = try RawSocket(address)
        _ = resetting.sendSome(good + good.prefix(length))
        resetting.reset()
      }
    }
  }

  @Test func badCallsFailAloneAndTheConnectionGoesOn() throws {
    try withServerUnderWatch { address in
      let client = try FramedClient(address)
      let unknown = try client.call("GetWeather", [])
      #expect(unknown.status.code == .unimplemented)
      #expect(unknown.status.message.contains("GetWeather"))
      for bytes: [UInt8] in [[0xFF], [0x0A, 0x7F], [0x0A, 0x05, 0x61], Array(repeating: 0xFF, count: 100)] {
        let reply = try client.call("GetAgentConfig", bytes)
        #expect(reply.status.code == .invalidArgument, "\(bytes.prefix(4))")
      }
      // Unpacking 60 KB of unknown fields would take 40 times the memory.
      let bomb = Array(repeatElement([UInt8(0x78), 0], count: 30_000).joined())
      #expect(try client.call("GetAgentConfig", bomb).status.code == .invalidArgument)
      // No call with this number is open.
      try client.cancel(4711)
      #expect(try client.call("GetAgentConfig", agentRequest("a")).status == .ok)
      try client.ping(7, deadline: soon())
    }
  }

  @Test func twoOpenCallsWithOneIDAreAnError() throws {
    try withServerUnderWatch { address in
      let client = try FramedClient(address)
      let request = Watch.Request().encoded(ProtobufArena())
      try client.send(FramedClient.encodeCall(id: 5, "WatchInvalidations", request))
      #expect(try client.nextReply(5, deadline: soon()).more)
      try client.send(FramedClient.encodeCall(id: 5, "WatchInvalidations", request))
      #expect(throws: RPCClientError.self) {
        while true { _ = try client.nextEvent(deadline: soon()) }
      }
      #expect(client.goAwayReason?.contains("5") == true)
    }
  }

  /// A client that sends lookups and never reads: the server stops reading its requests, and buffers little for it.
  @Test func pipelinedLookupsThatNobodyReads() throws {
    try withServerUnderWatch { address, process in
      let block = (1...200).flatMap { id in
        FramedClient.encodeCall(id: UInt32(id), "GetAgentConfig", (try? agentRequest("big")) ?? [])
      }
      let before = try process.residentMiB()
      let lazy = try RawSocket(address)
      lazy.shrinkReceiveBuffer()
      let limit = 64 * 1024 * 1024
      #expect(try lazy.sendUntilStuck(block, limit: limit) < limit, "the server reads no more than it can answer")
      #expect(try process.residentMiB() - before < 64)
    }
  }

  /// A subscriber that never reads while documents change costs the server little memory, and gets the latest state
  /// when it finally reads.
  @Test func aSubscriberThatNeverReads() throws {
    try withDeployment { test in
      let process = try ServerProcess(test.arguments)
      let address = try process.address()
      let descriptors = try process.descriptorCount()
      let bystander = try Bystander(address, key: nil)
      do {
        let slow = try Watch(address, .init(includesValues: true))
        _ = try slow.next()
        let quick = try Watch(address, .init(entities: [1]))
        _ = try quick.next()
        let before = try process.residentMiB()
        let large = String(repeating: "x", count: 200_000)
        for number in 0..<250 {
          let key = "k\(number % 5)"
          try test.agents.replace(
            Documents.selector("\(key):1.0.0"), with: Documents.agent(key, description: "\(number) \(large)"))
        }
        try test.agents.insert(Documents.agent("fence"))
        #expect(try Set(quick.changes(before: "fence").map(\.key)).count == 5, "the other one sees all")
        // AddressSanitizer keeps freed memory for a while, so the memory of the process shows nothing.
        if ProcessInfo.processInfo.environment["LSAN_OPTIONS"] == nil {
          #expect(try process.residentMiB() - before < 100, "50 MB of changes are not held")
        }
        var latest: [String: String] = [:]
        var count = 0
        while latest["fence"] == nil {
          let notice = try slow.nextChange()
          count += 1
          latest[notice.key] = notice.content.map { String($0.prefix(3)) } ?? ""
        }
        #expect(count < 100, "not every step")
        for number in 0..<5 { #expect(latest["k\(number)"] == "\(245 + number)") }
      }
      try bystander.finish()
      try poll("no descriptor is left behind") { try process.descriptorCount() <= descriptors }
      #expect(try process.child.stop() == .exited(0))
    }
  }
}

/// Encodes a request for an agent config.
private func agentRequest(_ key: String) throws -> [UInt8] {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__get_agent_config_request__init) { $0.agent_id = arena.bytes(key) }
  return ProtobufArena.pack(UnsafePointer(request))
}

private func withServerUnderWatch(_ body: (HostAndPort) throws -> Void) throws {
  try withServerUnderWatch { address, _ in try body(address) }
}

/// Runs a server in a process of its own that serves the agents `a` and `big`. While `body` misuses it, another client
/// gets its answers; afterwards the server has no more descriptors than before and exits with 0.
private func withServerUnderWatch(_ body: (HostAndPort, ServerProcess) throws -> Void) throws {
  try withDeployment { test in
    try test.agents.insert(Documents.agent("a"))
    try test.agents.insert(Documents.agent("big", description: String(repeating: "x", count: 20_000)))
    let process = try ServerProcess(test.arguments)
    let address = try process.address()
    let descriptors = try process.descriptorCount()
    let bystander = try Bystander(address, key: "a")
    try body(address, process)
    try bystander.finish()
    try poll("no descriptor is left behind") { try process.descriptorCount() <= descriptors }
    #expect(try process.child.stop() == .exited(0))
    #expect(process.child.errorLines.allSatisfy { $0.hasPrefix("{") }, "nothing but log lines")
  }
}

/// A client that makes one lookup after the other on one connection, each of which must be answered in time.
private final class Bystander {
  private let isDone = Switch()
  private let thread: Background

  /// - Parameter key: a key that exists; nil to look up one that does not.
  init(_ address: HostAndPort, key: String?) throws {
    let handed = Handed(try TestClient(address))
    let isDone = isDone
    thread = Background("bystander") {
      let client = try handed.take()
      client.rpc.callTimeout = .seconds(5)
      var count = 0
      while !isDone.isOn || count == 0 {
        let reply = try client.agent(key ?? "nobody")
        guard reply.code == (key == nil ? .notFound : .ok) else { throw TestFailure("\(reply.status)") }
        count += 1
      }
    }
  }

  deinit { isDone.turnOn() }

  func finish() throws {
    isDone.turnOn()
    try thread.finish()
  }
}
