// SPDX-License-Identifier: Apache-2.0
import ConfigLookupNetwork
import ConfigLookupRPC
import TestSupport
import Testing

@testable import GRPCTransport

extension ConnectionTests {
  /// Tests of drain and maximum age, and of the ways in which connections end.
  struct LifecycleTests {
    private let notice = HTTP2Peer.GoAway(lastStream: 0x7fff_ffff, code: 0, text: "")

    @Test func drainsInTwoSteps() throws {
      try GRPCServer.run({ $0.limits.drainGracePeriod = .seconds(3600) }) { server in
        let peer = try server.peer()
        peer.answersPings = false
        let open = peer.call("Hold")
        try peer.read("the call is open") { !$0.reply(open).blocks.isEmpty }
        server.server.drain()
        try peer.read("the notice") { !$0.pings.isEmpty }
        #expect(peer.goAways == [notice] && server.log.now.drained == 1)
        // A call that is in transit when the notice is sent is accepted, because the client could not react to the
        // notice.
        let crossed = peer.call("Echo", [1])
        #expect(try peer.wholeReply(crossed).messages == [[1]])
        let watch = peer.call("HoldUntilDrained")
        #expect(try peer.wholeReply(watch).status == 0)
        #expect(peer.goAways.count == 1)
        peer.send(.ping(peer.pings[0], flags: HTTP2Frame.acknowledgement))
        try peer.read("the second GOAWAY") { $0.goAways.count == 2 }
        #expect(peer.goAways[1] == .init(lastStream: watch, code: 0, text: "draining"))
        // The open call continues, and the connection closes when it has ended.
        try peer.sync()
        #expect(!peer.isClosed && server.log.now.cancelled == 0)
        peer.send(.reset(open))
        try peer.readToEnd()
        #expect(server.endpoint.counter(.protocolErrors) == 0)
      }
    }

    @Test func aClientThatDoesNotAnswerIsNotWaitedFor() throws {
      try GRPCServer.run({ $0.limits.drainGracePeriod = .milliseconds(10) }) { server in
        let peer = try server.peer()
        peer.answersPings = false
        try peer.sync()
        server.server.drain()
        try peer.readToEnd()
        #expect(peer.goAways == [notice, .init(lastStream: 0, code: 0, text: "draining")])
      }
    }

    @Test func aConnectionThatComesLateIsDrained() throws {
      try GRPCServer.run { server in
        let first = try server.peer()
        try first.sync()
        server.endpoint.drain()
        try first.readToEnd()
        let second = try server.peer()
        try second.readToEnd()
        #expect(second.goAways.count == 2)
      }
    }

    @Test func connectionsGrowOld() throws {
      try GRPCServer.run({ $0.maximumAge = .milliseconds(20) }) { server in
        let peer = try server.peer()
        let stream = peer.call("HoldUntilDrained")
        #expect(try peer.wholeReply(stream).status == 0)
        try peer.readToEnd()
        #expect(peer.goAways == [notice, .init(lastStream: stream, code: 0, text: "max_age")])
        // New connections are still accepted.
        #expect(try server.peer().wholeReplyOfCall("Echo").status == 0)
      }
    }

    @Test func aConnectionThatEndsEndsItsCalls() throws {
      try GRPCServer.run { server in
        for end in [{ $0.close() }, { $0.finishSending() }] as [(HTTP2Peer) -> Void] {
          let before = server.log.now.cancelled
          let peer = try server.peer()
          let streams = (0..<3).map { _ in peer.call("Hold") } + [peer.open("Echo")]
          try peer.read("the calls are open") { peer in streams.filter { !peer.reply($0).blocks.isEmpty }.count == 3 }
          end(peer)
          try poll("the calls are cancelled") { server.log.now.cancelled == before + 3 }
          try poll("the connection is gone") { server.server.connectionCount == 0 }
        }
        try server.haveEnded(6, .cancelled)
      }
    }

    @Test func stoppingCancelsWhatIsOpen() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.call("Hold")
        try peer.read("the call is open") { !$0.reply(stream).blocks.isEmpty }
        server.server.stop()
        #expect(server.server.waitUntilDrained(deadline: soon()))
        #expect(server.log.now.cancelled == 1)
      }
    }

    @Test func asksForASignOfLife() throws {
      try GRPCServer.run({
        $0.limits.keepaliveTime = .milliseconds(20)
        $0.limits.keepaliveTimeout = .seconds(3600)
      }) { server in
        let peer = try server.peer()
        try peer.read("three PINGs") { $0.pings.count == 3 }
        #expect(try peer.wholeReplyOfCall("Echo").status == 0)
      }
    }

    @Test func aClientThatGivesNoneIsClosed() throws {
      let log = CapturedLog()
      try GRPCServer.run({
        $0.limits.keepaliveTime = .milliseconds(20)
        $0.limits.keepaliveTimeout = .milliseconds(20)
        $0.logger = log.logger
      }) { server in
        let peer = try server.peer()
        peer.answersPings = false
        let stream = peer.call("Hold")
        try peer.readToEnd()
        #expect(!peer.reply(stream).blocks.isEmpty && peer.pings.count == 1)
        try poll("the call is cancelled") { server.log.now.cancelled == 1 }
        #expect(server.endpoint.counter(.keepaliveTimeouts) == 1)
        #expect(log.lines(event: "grpc_keepalive_timeout").count == 1)
      }
    }
  }
}
