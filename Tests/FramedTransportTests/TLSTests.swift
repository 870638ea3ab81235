// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import ConfigLookupTLS
import Foundation
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of the framed protocol over TLS, with certificates that the tests create.
  struct TLSTests {
    @Test func callsStreamsAndTheLargestReplies() throws {
      try withTLS { tls throws in
        let client = try tls.client()
        #expect(try client.call("Echo", [1, 2, 3]).payload == [1, 2, 3])
        let request = (0..<65_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try client.call("Echo", request).payload == request)
        let stream = try client.openCall("Count", [200, 250])
        for number in 0..<200 {
          #expect(try client.nextReply(stream, deadline: soon()).payload.first == UInt8(number))
        }
        let large = try client.call("Large")
        #expect(large.payload.count == largeReplyBytes && large.payload.allSatisfy { $0 == 5 })
        // Many calls at once fill TLS records in both directions.
        let ids = try (0..<500).map { _ in try client.openCall("Echo", Array(request[..<1000])) }
        for id in ids { #expect(try client.nextReply(id, deadline: soon()).payload.count == 1000) }
        #expect(tls.test.group.counter(.handshakes) == 1)
      }
    }

    @Test(arguments: [1, 3, 1000]) func howeverTheRecordsAreCut(sliceBytes: Int) throws {
      try withTLS { tls throws in
        let relay = try SliceRelay(to: tls.test.address, sliceBytes: sliceBytes)
        let client = try FramedClient(relay.address, tls: tls.trusting)
        for size in [0, 1, 5000] {
          let request = [UInt8](repeating: 3, count: size)
          #expect(try client.call("Echo", request).payload == request)
        }
        client.close()
        eventually("closed") { tls.test.server.connectionCount == 0 }
      }
    }

    @Test func aSlowReaderCostsItself() throws {
      try withTLS({ $0.limits.stalledWriteTimeout = .seconds(60) }) { tls throws in
        let client = try tls.client()
        let flood = try client.openCall("Flood")
        eventually("the stream waits") { tls.test.log.now.blocked > 0 }
        let held = tls.test.log.now.payloadBytes
        #expect(held < 16 * 1024 * 1024)
        for _ in 0..<(held / 16_384 + 100) { _ = try client.nextReply(flood, deadline: soon()) }
        #expect(tls.test.log.now.resumed > 0, "it goes on when the peer reads")
        #expect(try tls.client().call("Echo", [1]).payload == [1])
      }
    }

    @Test func aDrainEndsWithAGoodbye() throws {
      try withTLS { tls throws in
        let client = try tls.client()
        #expect(try client.call("Echo").status == .ok)
        tls.test.server.drain()
        #expect(try client.nextEvent(deadline: soon()) == .goAway(reason: "draining"))
        // TLS is closed, and not only the socket, so the client can detect that no data was truncated.
        let error = #expect(throws: RPCClientError.self) { try client.nextEvent(deadline: soon()) }
        #expect(error?.code == .goAway)
      }
    }

    @Test func theEndIsSaidInTLS() throws {
      try withTLS { tls throws in
        let stream = try OutgoingStream(to: tls.test.address, tls: tls.trusting, deadline: soon())
        // These bytes are not a frame. The server answers with a go_away and closes the connection.
        _ = [UInt8](repeating: 255, count: 8).withUnsafeBytes { stream.write($0) }
        var buffer = [UInt8](repeating: 0, count: 1000)
        while true {
          switch buffer.withUnsafeMutableBytes({ stream.read(into: $0) }) {
          case .count(0):
            guard stream.wait(writable: false, deadline: soon()) else { throw TestFailure("no end") }
          case .count: break
          case .lost(let reason):
            #expect(reason == "closed the connection")
            return
          }
        }
      }
    }

    @Test func callersNeedACertificateWhereThereIsAnAuthority() throws {
      try withTLS(isMutual: true) { tls throws in
        let worker = try tls.authority.issue("worker")
        let good = try tls.client(worker)
        #expect(try good.call("Echo", [1]).payload == [1])
        let stranger = try TestAuthority(tls.folder, "stranger").issue("worker")
        for (pair, reason, words) in [
          (nil, TLSFailure.Reason.noCertificate, "certificate required"),
          (stranger, .untrustedCertificate, "unknown ca"),
          (try tls.authority.issue("late", days: -1), .expiredCertificate, "certificate expired"),
        ] as [(TestAuthority.Pair?, TLSFailure.Reason, String)] {
          // A client receives the failure with the first reply, because in TLS 1.3 it completes the handshake earlier
          // than the server.
          let error = #expect(throws: RPCClientError.self) { try tls.client(pair).call("Echo") }
          #expect(error?.problem.contains(words) == true, "\(error as Any)")
          tls.expectRefusal(reason)
        }
        #expect(try good.call("Echo", [2]).payload == [2], "the others notice nothing")
      }
    }

    @Test func aServerThatIsNotTrusted() throws {
      try withTLS { tls throws in
        let stranger = try TestAuthority(tls.folder, "stranger")
        let trusting = try TLSContext(clientTrusting: stranger.certificate)
        let error = #expect(throws: RPCClientError.self) {
          try FramedClient(tls.test.address, tls: trusting)
        }
        #expect(error?.code == .cannotConnect && error?.problem.contains("certificate") == true)
        tls.expectRefusal(.refusedByPeer)
        let name = #expect(throws: RPCClientError.self) {
          try FramedClient(tls.test.address, tls: tls.trusting, serverName: "elsewhere.example")
        }
        #expect(name?.problem.contains("hostname mismatch") == true, "\(name as Any)")
        #expect(
          try FramedClient(tls.test.address, tls: tls.trusting, serverName: "localhost").call("Echo").status == .ok)
      }
    }

    @Test func oldVersions() throws {
      try withTLS { tls throws in
        func connect(_ version: String) throws -> Bool {
          let client = try ChildProcess(
            "/usr/bin/env",
            ["openssl", "s_client", "-connect", "\(tls.test.address)", version, "-cipher", "DEFAULT@SECLEVEL=0"])
          return try client.waitForExit() == .exited(0)
        }
        #expect(try !connect("-tls1_1"))
        tls.expectRefusal(.version)
        #expect(try connect("-tls1_2") && connect("-tls1_3"))
      }
    }

    @Test func plainTextToATLSPort() throws {
      try withTLS { tls throws in
        for bytes in [
          FramedClient.encodeCall(id: 1, "Echo", [1]), Array("GET / HTTP/1.1\r\n\r\n".utf8),
          Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8),
        ] {
          let socket = try tls.test.raw()
          socket.sendAll(bytes)
          let said = socket.readToEnd()
          #expect(said != nil && said?.starts(with: [0]) == false, "no frame in answer")
          tls.expectRefusal(.plainText)
        }
        let error = #expect(throws: RPCClientError.self) { try tls.test.client().call("Echo") }
        #expect(error?.problem.contains("TLS") == true, "\(error as Any)")
      }
    }

    @Test func tlsToAPlainPort() throws {
      let log = CapturedLog()
      try withServer(logger: log.logger) { test throws in
        try temporaryFolder { folder in
          let trusting = try TLSContext(clientTrusting: TestAuthority(folder).certificate)
          let error = #expect(throws: RPCClientError.self) { try FramedClient(test.address, tls: trusting) }
          #expect(error?.problem.contains("the TLS handshake failed") == true)
          #expect(test.group.counter(.tlsToPlainPort) == 1)
          #expect(log.lines(event: "tls_to_plain_port").count == 1)
          #expect(try test.client().call("Echo").status == .ok)
        }
      }
    }

    @Test func aHandshakeThatDoesNotEnd() throws {
      try withTLS({
        $0.limits.handshakeTimeout = .milliseconds(100)
        $0.limits.lingerTimeout = .milliseconds(100)
      }) { tls throws in
        let silent = try tls.test.raw()
        let slow = try tls.test.raw()
        slow.sendAll([0x16, 3, 1, 1, 0, 1])
        for socket in [silent, slow] { #expect(socket.readToEnd() != nil) }
        eventually("counted") { tls.test.group.handshakeFailures(.timedOut) == 2 }
        #expect(tls.log.lines(event: "tls_handshake_failed").count == 2)
        // A probe is not logged as a warning.
        try tls.test.raw().close()
        eventually("counted") { tls.test.group.handshakeFailures(.abandoned) == 1 }
        #expect(tls.log.lines(event: "tls_handshake_failed").filter { $0.contains("\"warning\"") }.count == 2)
        // On a busy machine the handshake of a normal client may time out, too.
        eventually("served") { (try? tls.client().call("Echo").status) == .ok }
      }
    }

    /// If a drain starts during a handshake, the go_away waits for the end of the handshake, and is never sent in
    /// cleartext.
    @Test func drainingWhileAHandshakeIsUnderWay() throws {
      try withTLS({
        $0.limits.handshakeTimeout = .milliseconds(500)
        $0.limits.lingerTimeout = .milliseconds(100)
      }) { tls throws in
        let half = try tls.test.raw()
        half.sendAll([0x16, 3, 1, 1, 0, 1])
        eventually("taken") { tls.test.server.connectionCount == 1 }
        tls.test.server.drain()
        let said = half.readToEnd()
        #expect(said != nil && said?.contains(UInt8(ascii: "d")) == false, "\(said as Any)")
      }
    }

    @Test func theLogIsNotFlooded() throws {
      try withTLS { tls throws in
        for _ in 0..<30 {
          let socket = try tls.test.raw()
          socket.sendAll(Array("GET / HTTP/1.1\r\n\r\n".utf8))
          _ = socket.readToEnd()
        }
        eventually("counted") { tls.test.group.handshakeFailures(.plainText) == 30 }
        #expect(tls.log.lines(event: "tls_handshake_failed").count == 5)
      }
    }

    /// New connections use the new certificate; open ones keep the previous one.
    @Test func aCertificateIsReplacedUnderLoad() throws {
      try withTLS { tls throws in
        let old = try tls.client()
        let stops = Locked(false)
        let failures = Locked<[String]>([])
        let calls = Locked(0)
        let threads = (0..<2).map { _ in
          OSThread(name: "load") {
            while !stops.withLock({ $0 }) {
              do {
                guard try tls.client().call("Echo", [4]).payload == [4] else { throw TestFailure("wrong") }
                calls.withLock { $0 += 1 }
              } catch {
                failures.withLock { $0.append("\(error)") }
              }
            }
          }
        }
        for _ in 0..<10 {
          let before = calls.withLock { $0 }
          try tls.replaceCertificate()
          try tls.server.reload()
          eventually("calls since the change") { calls.withLock { $0 } > before + 3 }
        }
        stops.withLock { $0 = true }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == [])
        #expect(try old.call("Echo", [5]).payload == [5])
      }
    }
  }
}

/// A server with TLS, with the certificates and clients of a test.
final class TLSTest: Sendable {
  let test: TestServer
  let folder: URL
  let authority: TestAuthority
  let server: TLSServer
  let trusting: TLSContext
  let log: CapturedLog
  private let files: TestAuthority.Pair
  private let refusals = Locked<[TLSFailure.Reason: UInt64]>([:])

  fileprivate init(
    _ test: TestServer, _ folder: URL, _ authority: TestAuthority, _ server: TLSServer, _ files: TestAuthority.Pair,
    _ log: CapturedLog
  ) throws {
    self.test = test
    self.folder = folder
    self.authority = authority
    self.server = server
    self.files = files
    self.log = log
    trusting = try TLSContext(clientTrusting: authority.certificate)
  }

  func client(_ pair: TestAuthority.Pair? = nil) throws -> FramedClient {
    guard let pair else { return try FramedClient(test.address, tls: trusting) }
    let identity = TLSFiles(certificate: pair.certificate, key: pair.key)
    return try FramedClient(
      test.address, tls: TLSContext(clientTrusting: authority.certificate, identity: identity))
  }

  /// Expects that one more handshake has failed for this reason, and that it was logged.
  func expectRefusal(_ reason: TLSFailure.Reason, sourceLocation: SourceLocation = #_sourceLocation) {
    let count = refusals.withLock { refusals in
      refusals[reason, default: 0] += 1
      return refusals[reason] ?? 0
    }
    eventually("refused for \(reason)", sourceLocation: sourceLocation) {
      test.group.handshakeFailures(reason) == count
    }
    func lines() -> [String] {
      log.lines(event: "tls_handshake_failed").filter { $0.contains("\"reason\":\"\(reason.rawValue)\"") }
    }
    // The failure is counted before it is logged.
    eventually("a line for \(reason)", sourceLocation: sourceLocation) { lines().count == Int(count) }
    #expect(lines().allSatisfy { $0.contains("\"peer\":\"127.0.0.1:") }, sourceLocation: sourceLocation)
  }

  /// Replaces the contents of the files by another certificate of the same authority.
  func replaceCertificate() throws {
    let new = try authority.issueServer()
    for (path, other) in [(files.certificate, new.certificate), (files.key, new.key)] {
      try Data(contentsOf: URL(fileURLWithPath: other)).write(to: URL(fileURLWithPath: path))
    }
  }
}

func withTLS(
  isMutual: Bool = false, _ configure: @escaping (inout ConnectionServer.Configuration) -> Void = { _ in },
  _ body: (TLSTest) throws -> Void
) throws {
  try temporaryFolder { folder in
    let authority = try TestAuthority(folder)
    let pair = try authority.issueServer()
    let files = TLSFiles(
      certificate: pair.certificate, key: pair.key, authorities: isMutual ? authority.certificate : nil)
    let server = try TLSServer(files, protocols: ["h2"])
    let log = CapturedLog()
    try withServer(logger: log.logger) {
      $0.tls = server
      configure(&$0)
    } _: { test throws in
      try body(TLSTest(test, folder, authority, server, pair, log))
    }
  }
}
