// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import TestSupport
import Testing

@testable import GRPCTransport

extension ConnectionTests {
  struct CallTests {
    @Test(arguments: [0, 1, 5, 255, 16_384, 60_000]) func anEchoOfEachSize(size: Int) throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let message = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        let stream = peer.open("Echo")
        for start in stride(from: 0, to: size + 5, by: 10_000) {
          let piece = prefixed(message)[start..<min(start + 10_000, size + 5)]
          peer.send(.data(stream, Array(piece), ends: piece.endIndex == size + 5))
        }
        let reply = try peer.wholeReply(stream)
        #expect(reply.messages == [message])
        #expect(reply.blocks.count == 2 && reply.trailers == ["grpc-status": "0"])
        #expect(reply.headers == [":status": "200", "content-type": "application/grpc"])
        #expect(reply.resetCode == nil)
      }
    }

    @Test func bytesMayComeOneByOne() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.nextStream()
        let frames: [HTTP2Frame] = [
          HTTP2Frame(.headers, stream: stream, Array(HTTP2Frame.block(HTTP2Peer.headers("Echo"))[..<20])),
          HTTP2Frame(
            .continuation, flags: 4, stream: stream, Array(HTTP2Frame.block(HTTP2Peer.headers("Echo"))[20...])),
          .data(stream, Array(prefixed([1, 2, 3])[..<2])), .data(stream, []),
          .data(stream, Array(prefixed([1, 2, 3])[2...]), ends: true),
        ]
        for byte in frames.flatMap(\.bytes) { peer.send([byte]) }
        #expect(try peer.wholeReply(stream).messages == [[1, 2, 3]])
      }
    }

    @Test func manyCallsAtOnce() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        for round in 0..<3 {
          let streams = (0..<200).map { _ in peer.nextStream() }
          peer.send(streams.flatMap { HTTP2Frame.headers($0, HTTP2Peer.headers("Echo")).bytes })
          peer.send(
            streams.reversed().flatMap { HTTP2Frame.data($0, prefixed([UInt8($0 & 0xff), 7]), ends: true).bytes })
          for stream in streams { #expect(try peer.wholeReply(stream).messages == [[UInt8(stream & 0xff), 7]]) }
          try server.haveEnded(200 * (round + 1), .ok)
        }
      }
    }

    /// Costly calls that one read brings are spread over event-loop iterations: the other one's call comes in between.
    @Test func costlyCallsOfOneReadAreSpread() throws {
      try GRPCServer.run { server in
        let (peer, other) = (try server.peer(), try server.peer())
        for one in [peer, other] { #expect(try one.wholeReply(one.call("Echo", [1])).status == 0) }
        let streams = (0..<40).map { _ in peer.nextStream() }
        peer.send(
          streams.flatMap {
            HTTP2Frame.headers($0, HTTP2Peer.headers("Costly")).bytes
              + HTTP2Frame.data($0, prefixed([]), ends: true).bytes
          })
        try poll("the first of them is open") { server.log.now.opened > 0 }
        #expect(try other.wholeReply(other.call("Echo", [1])).status == 0)
        let opened = server.log.now.opened
        #expect(opened < 40, "all of them came first")
        try poll("the rest follows") { server.log.now.opened == 40 }
      }
    }

    @Test func anErrorIsTrailersAlone() throws {
      try GRPCServer.run { server in
        let reply = try server.peer().wholeReplyOfCall("Fail")
        #expect(reply.blocks.count == 1 && reply.bytes.isEmpty && reply.isEnded)
        #expect(reply.headers[":status"] == "200" && reply.headers["content-type"] == "application/grpc")
        #expect(reply.status == 5 && reply.trailers["grpc-message"] == "no key \"%C3%A4\"")
        #expect(reply.trailers["why"] == "asked for")
        try server.haveEnded(1, .notFound)
      }
    }

    /// Stream objects are reused. The state of one call must not appear in the next.
    @Test func nothingIsLeftOfTheCallBefore() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        for _ in 0..<3 {
          let along = [("x-id", "7"), ("grpc-timeout", "60S")]
          let reply = try peer.wholeReply(peer.call("Metadata", [], along))
          #expect(reply.messages == [Array("x-id=7".utf8)] && reply.trailers["x-id"] == "7")
          #expect(try peer.wholeReply(peer.call("Fail")).status == 5)
          #expect(try peer.wholeReply(peer.call("Metadata")).messages == [[]])
          #expect(try peer.wholeReply(peer.call("Deadline")).messages == [Array("-1".utf8)])
          #expect(
            try peer.wholeReply(peer.call("Echo", [], [("grpc-encoding", "gzip")])).reason == .unsupportedCompression)
          let echo = try peer.wholeReply(peer.call("Echo", [1]))
          #expect(echo.messages == [[1]] && echo.trailers == ["grpc-status": "0"])
        }
      }
    }

    @Test(
      arguments: [
        (prefixed([]) + prefixed([]), .unsupportedCallType), ([], .unsupportedCallType),
        ([0, 0, 0], .malformedFraming), (Array(prefixed([1, 2]).dropLast()), .malformedFraming),
        ([1, 0, 0, 0, 0], .malformedFraming), ([9, 0, 0, 0, 0], .malformedFraming),
        ([0, 0, 1, 0, 1], .messageTooLarge),
      ] as [([UInt8], ErrorReason)])
    func requestsThatAreNone(bytes: [UInt8], reason: ErrorReason) throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.open("Echo")
        peer.send(.data(stream, bytes, ends: true))
        let reply = try peer.wholeReply(stream)
        #expect(reply.reason == reason && reply.status == Int(reason.code.rawValue) && reply.blocks.count == 1)
        #expect(reply.trailers["grpc-message"]?.isEmpty == false)
        #expect(try peer.wholeReply(peer.call("Echo", [1])).status == 0)
      }
    }

    /// A failure that ends a call before its request has ended is reported at once; the rest of the request is
    /// discarded.
    @Test(
      arguments: [
        ("Nothing", [], [], 12), ("Echo", [("grpc-timeout", "1")], [], 3),
        ("Echo", [("grpc-encoding", "gzip")], [], 12),
        ("Echo", [("x-bin", "!")], [], 3), ("Echo", [("x", String(repeating: "a", count: 9000))], [], 8),
        ("Echo", [], [0, 0, 1, 0, 1], 8), ("Echo", [], [1, 0, 0, 0, 1], 13),
      ] as [(String, [(String, String)], [UInt8], Int)])
    func refusedBeforeTheRequestHasEnded(
      method: String, extra: [(String, String)], bytes: [UInt8], status: Int
    ) throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.open(method, extra)
        if !bytes.isEmpty { peer.send(.data(stream, bytes)) }
        try peer.read("the trailers") { $0.reply(stream).isEnded }
        #expect(peer.reply(stream).status == status)
        #expect((peer.reply(stream).headers["grpc-accept-encoding"] == "identity") == (extra.first?.1 == "gzip"))
        // The rest of the request, which was in transit, does not disturb other calls.
        peer.send(.data(stream, [1, 2, 3], ends: true))
        #expect(try peer.wholeReply(peer.call("Echo", [1])).status == 0)
        #expect(peer.reply(stream).resetCode == nil)
      }
    }

    /// A proxy that forwards the status only after it has forwarded the request gets time for that, within limits.
    @Test func theRestOfARequestIsDroppedWithinBounds() throws {
      try GRPCServer.run({ $0.limits.droppedRequestBytes = 100_000 }) { server in
        let peer = try server.peer()
        let long = [0, 0, 3, 0, 0] + [UInt8](repeating: 1, count: 10_000)
        let stream = peer.open("Echo")
        peer.send(.data(stream, long))
        try peer.read("the trailers") { $0.reply(stream).isEnded }
        #expect(peer.reply(stream).status == 8)
        for _ in 0..<9 { peer.send(.data(stream, [UInt8](repeating: 1, count: 10_000))) }
        try peer.sync()
        #expect(peer.reply(stream).resetCode == nil)
        for _ in 0..<2 { peer.send(.data(stream, [UInt8](repeating: 1, count: 10_000))) }
        try peer.read("a reset") { $0.reply(stream).resetCode == 0 }
      }
      try GRPCServer.run({ $0.limits.droppedRequestTimeout = .milliseconds(50) }) { server in
        let peer = try server.peer()
        let stream = peer.open("Nothing")
        try peer.read("a reset") { $0.reply(stream).resetCode == 0 }
        #expect(peer.reply(stream).reason == .unknownMethod)
      }
    }

    /// These are values that C-core's servers accept. Nothing here depends on the value.
    @Test(arguments: [
      "", "/tmp/a.sock", "%2Ftmp%2Fa.sock", "outbound|80||svc.ns.svc.cluster.local", "a_b c", "ä", "host",
    ])
    func anAuthorityIsAnything(authority: String) throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.nextStream()
        let name = authority == "host" ? "host" : ":authority"
        var headers = HTTP2Peer.headers("Echo").map { $0.0 == ":authority" ? (name, authority) : $0 }
        if name == "host" { headers.append(headers.remove(at: 3)) }
        peer.send(.headers(stream, headers), .data(stream, prefixed([1]), ends: true))
        #expect(try peer.wholeReply(stream).status == 0)
        #expect(server.endpoint.counter(.malformedRequests) == 0)
      }
    }

    /// Such a request is reset, counted and logged; the connection remains open.
    @Test(
      arguments: [
        ([(":authority", nil)], "authority and host are missing"), ([(":path", nil)], "is missing"),
        ([(":path", "")], "is empty"),
        ([(":method", nil)], "is missing"), ([(":scheme", "")], "is empty"), ([("Te", "trailers")], "header name"),
        ([("te", "gzip")], "te is not"), ([("connection", "close")], "HTTP/1"), ([("x", "a\u{1}b")], "header value"),
        ([("transfer-encoding", "chunked")], "HTTP/1"), ([("content-length", "x")], "content-length"),
        ([("content-length", "7")], "fewer bytes"), ([("content-length", "5")], "more bytes"),
        ([(":authority", "b")], "after other headers"), ([(":status", "200")], "requests do not have"),
      ] as [([(String, String?)], String)])
    func aMalformedRequestIsResetAndCounted(change: [(String, String?)], problem: String) throws {
      let log = CapturedLog()
      try GRPCServer.run({ $0.logger = log.logger }) { server in
        let peer = try server.peer()
        let stream = peer.nextStream()
        let (name, value) = change[0]
        var headers = HTTP2Peer.headers("Echo")
        if value == nil || (name.hasPrefix(":") && value == "") { headers.removeAll { $0.0 == name } }
        if let value {
          name.hasPrefix(":") && value == "" ? headers.insert((name, ""), at: 0) : headers.append((name, value))
        }
        peer.send(.headers(stream, headers), .data(stream, prefixed([1]), ends: true))
        let reply = try peer.wholeReply(stream)
        #expect(reply.resetCode == 1 && reply.blocks.isEmpty, "\(reply)")
        #expect(try peer.wholeReply(peer.call("Echo", [1])).status == 0)
        #expect(server.endpoint.counter(.malformedRequests) == 1)
        #expect(log.lines(event: "grpc_malformed_request").first?.contains(problem) == true)
      }
    }

    @Test func trailersOfARequestAreChecked() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        for (trailers, ends, isSound) in [
          ([("x", "y")], true, true), ([(":path", "/")], true, false), ([("x", "y")], false, false),
        ] {
          let stream = peer.open("Echo")
          peer.send(.data(stream, prefixed([1])), .headers(stream, trailers, ends: ends))
          let reply = try peer.wholeReply(stream)
          #expect(reply.status == (isSound ? 0 : -1) && reply.resetCode == (isSound ? nil : 1))
        }
        #expect(server.endpoint.counter(.malformedRequests) == 2)
      }
    }

    @Test func headIsAnsweredWithoutABody() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.nextStream()
        let headers = HTTP2Peer.headers("Echo").map { $0.0 == ":method" ? ($0.0, "HEAD") : $0 }
        peer.send(.headers(stream, headers, ends: true))
        let reply = try peer.wholeReply(stream)
        #expect(reply.headers[":status"] == "405" && reply.bytes.isEmpty && reply.isEnded)
      }
    }

    @Test(arguments: [(":method", "GET", "405"), ("content-type", "application/json", "415")])
    func whatIsNoGRPCIsAnsweredByHTTP(name: String, value: String, status: String) throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.nextStream()
        let headers = HTTP2Peer.headers("Echo").map { $0.0 == name ? (name, value) : $0 }
        peer.send(.headers(stream, headers), .data(stream, [1, 2, 3], ends: true))
        let reply = try peer.wholeReply(stream)
        #expect(reply.headers[":status"] == status && reply.blocks.count == 1)
        #expect(String(decoding: reply.bytes, as: UTF8.self).contains("gRPC"))
        #expect(server.endpoint.counter(.notGRPC) == 1)
        #expect(try peer.wholeReply(peer.call("Echo", [1])).status == 0)
      }
    }

    @Test func deadlines() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        #expect(
          try peer.wholeReply(peer.call("Deadline", [], [("grpc-timeout", "60S")])).messages == [Array("60".utf8)])
        #expect(try peer.wholeReply(peer.call("Echo", [], [("grpc-timeout", "0m")])).status == 4)
        let stream = try peer.wholeReply(peer.call("Hold", [], [("grpc-timeout", "30m")]))
        #expect(stream.status == 4 && stream.blocks.count == 2)
        #expect(try peer.wholeReply(peer.call("Wait", [255], [("grpc-timeout", "10m")])).status == 4)
        #expect(server.log.now.cancelled == 1)
        try server.haveEnded(3, .deadlineExceeded)
      }
    }

    @Test func callsThatWait() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let reply = try peer.wholeReply(peer.call("Wait", [3]))
        #expect(reply.messages == [[3]] && reply.trailers["asks"] == "4")
        let expired = try peer.wholeReply(peer.call("Wait", [255]))
        #expect(expired.status == 14 && expired.trailers["grpc-message"] == "in vain" && expired.blocks.count == 1)
        #expect(try peer.wholeReply(peer.call("Wait", [200, 8])).status == 10)
      }
    }

    @Test func streamsOfReplies() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let reply = try peer.wholeReply(peer.call("Count", [3, 2]))
        #expect(reply.messages == [[0, 7, 7], [1, 7, 7], [2, 7, 7]] && reply.status == 0)
        let refused = try peer.wholeReply(peer.call("Refuse"))
        #expect(refused.status == 7 && refused.blocks.count == 1)
        #expect(try peer.wholeReply(peer.call("FinishThenThrow")).status == 10)
        try server.haveEnded(1, .aborted)
        try server.haveEnded(0, .internalError)
      }
    }

    @Test func streamsOfRequests() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let stream = peer.open("Chat")
        try peer.read("the headers") { !$0.reply(stream).blocks.isEmpty }
        let two = prefixed([1]) + prefixed([2, 2])
        peer.send(.data(stream, Array(two[..<7])))
        try peer.read("the first answer") { $0.reply(stream).messages == [[1]] }
        peer.send(.data(stream, Array(two[7...]), ends: true))
        let reply = try peer.wholeReply(stream)
        #expect(reply.messages == [[1], [2, 2]] && reply.status == 0)
        // The handler ends the call while requests wait.
        let ended = peer.open("Chat")
        peer.send(.data(ended, prefixed(Array("end".utf8)) + prefixed([4])))
        try peer.read("the end") { $0.reply(ended).isEnded }
        #expect(peer.reply(ended).status == 10 && peer.reply(ended).messages.count == 1)
        // Here the call ends within a message.
        let cut = peer.open("Chat")
        peer.send(.data(cut, prefixed([1]) + [0, 0], ends: true))
        let reason = try peer.wholeReply(cut)
        #expect(reason.reason == .malformedFraming && server.log.now.cancelled == 1)
      }
    }

    @Test func cancelled() throws {
      try GRPCServer.run { server in
        let peer = try server.peer()
        let streams = [peer.call("Hold"), peer.open("Chat"), peer.open("Echo")]
        try peer.read("the calls are open") {
          $0.reply(streams[0]).blocks.count + $0.reply(streams[1]).blocks.count == 2
        }
        for stream in streams { peer.send(.reset(stream)) }
        try peer.sync()
        #expect(server.log.now.cancelled == 2)
        try server.haveEnded(2, .cancelled)
        #expect(try peer.wholeReply(peer.call("Echo", [1])).messages == [[1]])
      }
    }
  }
}

extension HTTP2Peer {
  func wholeReplyOfCall(_ method: String, _ message: [UInt8] = []) throws -> Reply {
    try wholeReply(call(method, message))
  }
}
