// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import TestSupport
import Testing

@testable import GRPCTransport

extension ConnectionTests {
  /// Tests of the limits that apply to a client.
  struct LimitTests {
    @Test func theClientIsToldItsLimits() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        try peer.sync()
        #expect(peer.settings == [3: 1024, 6: 16_384])
      }
    }

    @Test func moreCallsThanAllowedAreRefusedBeforeTheyBegin() throws {
      try GRPCServer.run({ $0.limits.openStreams = 3 }) { server in
        let peer = try server.peer()
        let open = (0..<3).map { _ in peer.call("Hold") }
        try peer.read("the calls are open") { peer in open.allSatisfy { !peer.reply($0).blocks.isEmpty } }
        #expect(try peer.wholeReplyOfCall("Echo").resetCode == 7)
        peer.send(.reset(open[0]))
        #expect(try peer.wholeReplyOfCall("Echo").status == 0)
        #expect(server.log.now.opened == 3)
      }
    }

    /// nghttp2's own check would end the connection after the client has acknowledged the settings.
    @Test func whoWasToldTheLimitIsRefusedNoMoreThanTheCall() throws {
      try GRPCServer.run({ $0.limits.openStreams = 2 }) { server in
        let peer = try server.peer()
        try peer.sync()
        #expect(peer.settings[3] == 2)
        peer.send(HTTP2Frame(.settings, flags: HTTP2Frame.acknowledgement))
        let open = (0..<2).map { _ in peer.call("Hold") }
        for _ in 0..<3 { #expect(try peer.wholeReplyOfCall("Echo").resetCode == 7) }
        #expect(peer.goAways.isEmpty && !peer.reply(open[0]).isEnded)
        peer.send(.reset(open[0]))
        #expect(try peer.wholeReplyOfCall("Echo").status == 0)
      }
    }

    @Test func aRequestMustComeInTime() throws {
      try GRPCServer.run({
        $0.limits.requestTimeout = .milliseconds(20)
        $0.limits.droppedRequestTimeout = .milliseconds(20)
      }) { server in
        let peer = try server.peer()
        let hold = peer.call("Hold")
        let stream = peer.open("Echo")
        peer.send(.data(stream, [0, 0]))
        try peer.read("the end of the call") { $0.reply(stream).resetCode == 0 }
        #expect(peer.reply(stream).reason == .requestTimeout)
        // This limit does not apply to a call that a handler has accepted.
        #expect(!peer.reply(hold).isEnded && !peer.isClosed)
      }
    }

    @Test func somethingBegunMustComeInTime() throws {
      for bytes in [[0, 0], HTTP2Frame(.headers, stream: 1, HTTP2Frame.block(HTTP2Peer.headers("Echo"))).bytes] {
        try GRPCServer.run({ $0.connection.incompleteInputTimeout = .milliseconds(20) }) { server in
          let peer = try server.peer()
          peer.send(bytes)
          try peer.readToEnd()
          #expect(server.endpoint.counter(.protocolErrors) == 1)
        }
      }
    }

    @Test(arguments: [
      HTTP2Frame.data(0, []), .data(1, [1]), .headers(2, []), .reset(5), HTTP2Frame(.ping, [1]),
      HTTP2Frame(.headers, flags: HTTP2Frame.endHeaders, stream: 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      HTTP2Frame(.continuation, flags: HTTP2Frame.endHeaders, stream: 1), .settings([5: 1]),
      HTTP2Frame(.data, stream: 1, [UInt8](repeating: 0, count: 20_000)),
    ])
    func whatIsNoHTTP2EndsTheConnection(frame: HTTP2Frame) throws {
      let log = CapturedLog()
      try GRPCServer.run({ $0.logger = log.logger }) { server in
        let peer = try server.peer()
        peer.send(frame)
        try peer.readToEnd()
        #expect(peer.goAways.last?.code ?? 0 > 0, "\(peer.goAways)")
        #expect(server.endpoint.counter(.protocolErrors) == 1)
        #expect(log.lines(event: "grpc_protocol_error").count == 1)
        #expect(try server.peer().wholeReplyOfCall("Echo").status == 0)
      }
    }

    @Test func floodsEndTheConnection() throws {
      let floods: [(HTTP2Peer) -> Void] = [
        { $0.send(.settings()) }, { $0.send(.windowUpdate(0, 1)) }, { $0.send(.reset($0.open("Echo"))) },
        { $0.send(HTTP2Frame(kind: 77)) }, { $0.send(HTTP2Frame(.priority, stream: 1, [0, 0, 0, 3, 1])) },
      ]
      for flood in floods {
        try GRPCServer.run({
          $0.limits.floodCredits = 100
          $0.limits.floodCreditsPerSecond = 0.001
        }) { server in
          let peer = try server.peer()
          // This is twice what the cheapest of the floods may do.
          for _ in 0..<200 { flood(peer) }
          try peer.readToEnd()
          // A client that has sent more than was read may be reset before it has read the reason.
          #expect(peer.goAways.allSatisfy { $0.code == 11 })
          try poll("the flood is counted") { server.endpoint.counter(.floods) == 1 }
        }
      }
    }

    @Test func aHeaderBlockThatDoesNotEndIsAFlood() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        peer.send(HTTP2Frame(.headers, stream: 1))
        for _ in 0...HTTP2FrameScanner.maximumContinuations { peer.send(HTTP2Frame(.continuation, stream: 1)) }
        try peer.readToEnd()
        #expect(peer.goAways.last?.code == 11 && server.endpoint.counter(.floods) == 1)
      }
    }

    @Test func tooManyPings() throws {
      try GRPCServer.run({ $0.limits.minimumPingInterval = .seconds(3600) }) { server in
        let peer = try server.peer()
        // PINGs between replies are allowed.
        for _ in 0..<5 {
          try peer.sync()
          #expect(try peer.wholeReplyOfCall("Echo").status == 0)
        }
        for _ in 0..<4 { peer.send(.ping([0, 0, 0, 0, 0, 0, 0, 0])) }
        try peer.readToEnd()
        #expect(peer.goAways.last?.code == 11 && peer.goAways.last?.text == "too_many_pings")
      }
    }

    /// The client starts call after call, and completes none of its requests.
    @Test func requestsThatAreNotWholeAreBoundedForAll() throws {
      let report = LimitReport()
      let buffers = BufferBudget(limit: 1024 * 1024, report: report)
      try GRPCServer.run({ $0.buffers = buffers }) { server in
        let other = try server.peer()
        let hold = other.call("Hold")
        try other.sync()
        let peer = try server.peer()
        for _ in 0..<100 where report.count(.bufferedBytes) == 0 {
          let stream = peer.open("Echo")
          peer.send(.data(stream, [0, 0, 0, 0xff, 0xff] + [UInt8](repeating: 1, count: 16_000)))
        }
        try poll("it is cut") { report.count(.bufferedBytes) == 1 && server.server.connectionCount == 1 }
        #expect(!buffers.isExceeded)
        #expect(try other.wholeReplyOfCall("Echo").status == 0)
        #expect(!other.reply(hold).isEnded)
      }
    }

    /// A connection can hold very many calls whose requests are not complete.
    @Test func callsThatHaveBegunAreCounted() throws {
      let buffers = BufferBudget(limit: 16 * 1024 * 1024)
      try GRPCServer.run({ $0.buffers = buffers }) { server in
        let peer = try server.peer()
        for _ in 0..<1000 { _ = peer.open("Echo") }
        try peer.sync()
        try poll("they are counted") { buffers.byteCount > 1_000_000 }
        peer.close()
        try poll("and no more") { buffers.byteCount < 300_000 }
      }
    }

    /// A watch may last for days: the bytes of its request are released once it is open.
    @Test func anOpenStreamHoldsNoRequest() throws {
      let buffers = BufferBudget(limit: 16 * 1024 * 1024)
      try GRPCServer.run({ $0.buffers = buffers }) { server in
        let peer = try server.peer()
        for _ in 0..<100 { _ = peer.call("Hold", [UInt8](repeating: 7, count: 10_000)) }
        try poll("all are open") { server.log.now.opened == 100 }
        try poll("their requests are released") { buffers.byteCount < 300_000 }
      }
    }

    /// `Tell` has its own limit, and exists for tools: a connection with no other calls is idle.
    @Test func aMethodWithABoundOfItsOwn() throws {
      try GRPCServer.run({ $0.limits.idleTimeout = .milliseconds(100) }) { server in
        let peer = try server.peer()
        let open = (0..<2).map { _ in peer.call("Tell") }
        #expect(try peer.wholeReplyOfCall("Tell").reason == .healthWatchesPerConnectionLimit)
        peer.send(.reset(open[0]))
        let again = peer.call("Tell")
        try peer.read("the call is open") { !$0.reply(again).blocks.isEmpty }
        try peer.read("it is idle") { $0.goAways.last?.text == "idle" }
      }
    }

    /// Opening a watch can be much work. If the client cancels it, the cost in credits depends on that work.
    @Test func callsThatAreCancelledAgainAndAgainAreAFlood() throws {
      let log = CapturedLog()
      try GRPCServer.run({
        $0.limits.floodCredits = 500
        $0.logger = log.logger
      }) { server in
        let peer = try server.peer()
        for _ in 0..<50 {
          let stream = peer.call("Costly")
          try peer.read("the call is open") { !$0.reply(stream).blocks.isEmpty || $0.isClosed }
          peer.send(.reset(stream))
          if peer.isClosed { break }
        }
        try peer.readToEnd()
        #expect(peer.goAways.last?.code == 11)
        #expect(server.endpoint.counter(.floods) == 1)
        try poll("it is logged") { log.lines(event: "grpc_flood").count == 1 }
      }
    }

    // MARK: Slow clients

    private let noWindow: [UInt16: UInt32] = [4: 0]

    @Test func repliesWaitForTheWindow() throws {
      try GRPCServer.run { server in
        let peer = try server.peer(settings: noWindow)
        let stream = peer.call("Echo", [1, 2, 3])
        try peer.read("the headers") { !$0.reply(stream).blocks.isEmpty }
        for count in 1...8 {
          try peer.sync()
          #expect(peer.reply(stream).bytes.count == count - 1)
          peer.send(.windowUpdate(stream, 1))
        }
        #expect(try peer.wholeReply(stream).messages == [[1, 2, 3]])
      }
    }

    @Test func repliesThatNobodyTakesAreBounded() throws {
      try GRPCServer.run({ $0.limits.ownReplyBytes = 300 }) { server in
        let peer = try server.peer(settings: noWindow)
        // One half of an echo reply is not shared with other connections.
        let waiting = (0..<3).map { _ in peer.call("Echo", [UInt8](repeating: 1, count: 100)) }
        let refused = try peer.wholeReplyOfCall("Echo")
        #expect(refused.reason == .repliesNotRead && refused.trailers["grpc-retry-pushback-ms"] == "1000")
        for stream in waiting {
          peer.send(.windowUpdate(stream, 1000))
          #expect(try peer.wholeReply(stream).messages.first?.count == 100)
        }
        // Replies of calls that were cancelled do not count any more.
        for stream in (0..<3).map({ _ in peer.call("Echo", [UInt8](repeating: 1, count: 100)) }) {
          peer.send(.reset(stream))
        }
        let next = peer.call("Echo", [1])
        peer.send(.windowUpdate(next, 1000))
        #expect(try peer.wholeReply(next).status == 0)
      }
    }

    @Test func aReplyThatNobodyTakesIsGivenUp() throws {
      try GRPCServer.run({ $0.limits.stalledReplyTimeout = .milliseconds(20) }) { server in
        let peer = try server.peer(settings: noWindow)
        let hold = peer.call("Hold")
        #expect(try peer.wholeReplyOfCall("Echo", [1]).resetCode == 11)
        // A stream without buffered replies is not stalled.
        try peer.sync()
        #expect(peer.reply(hold).resetCode == nil)
      }
    }

    @Test func aSlowStreamWaitsAndGoesOn() throws {
      try GRPCServer.run({
        $0.limits.streamBytesHigh = 40_000
        $0.limits.streamBytesLow = 20_000
      }) { server in
        let peer = try server.peer(settings: [4: 65_535])
        let stream = peer.call("Flood")
        try peer.read("a full window") { $0.reply(stream).bytes.count == 65_535 }
        try peer.sync()
        let sent = server.log.now.payloadBytes
        #expect(server.log.now.blocked > 0 && sent < 65_535 + 60_000)
        // Other streams are served in the meantime.
        let other = peer.call("Echo", [1])
        peer.send(.windowUpdate(0, 100_000))
        #expect(try peer.wholeReply(other).status == 0)
        peer.send(.windowUpdate(stream, 60_000))
        try peer.read("more") { $0.reply(stream).bytes.count > 100_000 }
        #expect(server.log.now.resumed > 0 && server.log.now.payloadBytes > sent)
        peer.send(.reset(stream))
        try peer.sync()
        #expect(server.log.now.cancelled == 1)
      }
    }

    /// What one stream buffers is not available to the others, except for one message each.
    @Test func slowStreamsShareWhatAConnectionMayHold() throws {
      try GRPCServer.run({ $0.limits.ownStreamBytesHigh = 6400 }) { server in
        let peer = try server.peer(settings: noWindow)
        let streams = (0..<20).map { _ in peer.call("Count", [100, 10]) }
        try peer.read("the calls are open") { peer in streams.allSatisfy { !peer.reply($0).blocks.isEmpty } }
        try peer.sync()
        // The first stream sends nearly everything: messages of eleven bytes, of which one byte is not shared, plus the
        // memory that is needed to hold each message.
        #expect((50...100).contains(server.log.now.payloadBytes / 11 - 19))
        #expect(server.log.now.blocked >= 19)
        for stream in streams.reversed() { peer.send(.windowUpdate(stream, 10_000)) }
        for stream in streams {
          let reply = try peer.wholeReply(stream)
          #expect(reply.messages.count == 100 && reply.status == 0)
        }
      }
    }

    @Test func aStreamThatGoesOnRegardlessIsCut() throws {
      try GRPCServer.run({ $0.limits.streamBytesLimit = 200_000 }) { server in
        let none = try server.peer(settings: noWindow)
        let untouched = try none.wholeReplyOfCall("CarelessHold")
        #expect(untouched.status == 8 && untouched.messages.isEmpty && server.log.now.cancelled == 1)
        // Trailers cannot follow an incomplete message.
        let some = try server.peer(settings: [4: 1000])
        let stream = some.call("CarelessHold")
        let cut = try some.wholeReply(stream)
        #expect(cut.resetCode == 8 || cut.status == 8)
        #expect(try server.peer().wholeReplyOfCall("Echo").status == 0)
      }
    }

    @Test func aLargeReplyComesWholeThroughASmallWindow() throws {
      try GRPCServer.run { server in
        let peer = try server.peer(settings: [4: 100_000])
        let stream = peer.call("Large")
        var taken = 0
        try peer.read("all of it") { peer in
          let more = peer.reply(stream).bytes.count - taken
          if more >= 30_000 {
            taken += more
            peer.send(.windowUpdate(0, UInt32(more)), .windowUpdate(stream, UInt32(more)))
          }
          return peer.reply(stream).isEnded
        }
        #expect(peer.reply(stream).bytes.count == largeReplyBytes + 5 && peer.reply(stream).status == 0)
      }
    }
  }
}
