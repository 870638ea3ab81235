// SPDX-License-Identifier: Apache-2.0
import ConfigLookupTLS
import Foundation
import Glibc
import TestSupport
import Testing

/// Tests of the two sides of TLS over a socket pair, without a server.
@Suite struct TLSSessionTests {
  @Test func namesOfTheOtherSide() throws {
    try withAuthority { authority throws in
      let client = try authority.authority.issue("worker", ["DNS:a.example", "URI:spiffe://b/c", "email:d@example"])
      let pair = try Pair(authority, client: client, protocols: ["x", "h2"])
      try pair.shakeHands()
      // A common name counts only in a certificate without alternative names.
      #expect(
        pair.server.peerNames == [
          CertificateName(.dns, "a.example"), CertificateName(.uri, "spiffe://b/c"),
          CertificateName(.email, "d@example"),
        ])
      #expect(pair.client.peerNames.contains(CertificateName(.dns, "localhost")))
      #expect(pair.client.applicationProtocol == "h2" && pair.server.applicationProtocol == "h2")
    }
  }

  @Test func aProtocolThatNobodySpeaks() throws {
    try withAuthority { authority throws in
      #expect(try Pair(authority, protocols: []).failures() == [nil, nil], "who asks for none gets none")
      #expect(
        try Pair(authority, protocols: ["http/1.1"]).failures() == [.applicationProtocol, .refusedByPeer])
    }
  }

  @Test func whoIsNotTrusted() throws {
    try withAuthority { authority throws in
      let stranger = try TestAuthority(authority.folder, "stranger").issue("worker")
      let expired = try authority.authority.issue("worker", days: -1)
      let good = try authority.authority.issue("worker")
      for (client, reason) in [
        (stranger, TLSFailure.Reason.untrustedCertificate), (expired, .expiredCertificate), (nil, .noCertificate),
        (good, nil),
      ] {
        // In TLS 1.3 the client completes the handshake before the server has verified the client's certificate.
        #expect(try Pair(authority, client: client, isMutual: true).failures()[0] == reason)
      }
      #expect(try Pair(authority, name: "elsewhere.example").failures() == [.refusedByPeer, .untrustedCertificate])
      #expect(try Pair(authority, name: "127.0.0.2").failures()[1] == .untrustedCertificate)
      #expect(try Pair(authority, name: "127.0.0.1").failures() == [nil, nil])
      let late = try authority.authority.issueServer(days: -1)
      #expect(try Pair(authority, server: late).failures() == [.refusedByPeer, .expiredCertificate])
      let other = try TestAuthority(authority.folder, "other").issueServer()
      #expect(try Pair(authority, server: other).failures() == [.refusedByPeer, .untrustedCertificate])
    }
  }

  /// Both sides trust an intermediate authority alone. Other certificates of its root are rejected.
  @Test func anIntermediateAuthorityIsATrustAnchor() throws {
    try withAuthority { root throws in
      let intermediate = try root.authority.issueAuthority("intermediate")
      let below = Authority(folder: root.folder, authority: intermediate, server: try intermediate.issueServer())
      #expect(try Pair(below, client: intermediate.issue("worker"), isMutual: true).failures() == [nil, nil])
      #expect(try Pair(below, server: root.server).failures() == [.refusedByPeer, .untrustedCertificate])
      let other = try root.authority.issue("worker")
      #expect(try Pair(below, client: other, isMutual: true).failures()[0] == .untrustedCertificate)
    }
  }

  @Test func plainBytesAreNoHandshake() throws {
    try withAuthority { authority throws in
      for text in ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\u{10}\u{8}\u{1}\u{12}\u{c}hello, world!!", "PRI * HTTP/2.0\r\n"] {
        let pair = try Pair(authority)
        pair.sendPlain(text)
        guard case .failed(let failure) = pair.server.handshake() else {
          Issue.record("took \(text)")
          continue
        }
        #expect(failure.reason == .plainText, "\(failure)")
      }
      let pair = try Pair(authority)
      pair.close(.client)
      guard case .failed(let failure) = pair.server.handshake() else { throw TestFailure("no failure") }
      #expect(failure.reason == .abandoned)
    }
  }

  @Test func manyBytesThroughASmallSocket() throws {
    try withAuthority { authority throws in
      let pair = try Pair(authority)
      try pair.shakeHands()
      pair.shrinkBuffers()
      let sent = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
      var written = 0
      var received: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 5000)
      var blocked = 0
      for _ in 0..<1_000_000 where received.count < sent.count {
        if written < sent.count {
          switch sent.withUnsafeBytes({ pair.server.write(UnsafeRawBufferPointer(rebasing: $0[written...])) }) {
          case .count(let count): written += count
          case .wantsWrite: blocked += 1
          case let other: throw TestFailure("\(other)")
          }
        }
        let result = buffer.withUnsafeMutableBytes { pair.client.read(into: $0) }
        if case .count(let count) = result { received += buffer[..<count] }
      }
      #expect(received == sent)
      #expect(blocked > 0)
    }
  }

  @Test func anEndIsToldFromACut() throws {
    try withAuthority { authority throws in
      var buffer = [UInt8](repeating: 0, count: 100)
      func read(_ session: TLSSession) -> TLSResult { buffer.withUnsafeMutableBytes { session.read(into: $0) } }
      let ended = try Pair(authority)
      try ended.shakeHands()
      _ = read(ended.client)
      #expect(ended.server.finishWriting())
      guard case .end = read(ended.client) else { throw TestFailure("no end") }
      // The other direction is still open.
      _ = Array("late".utf8).withUnsafeBytes { ended.client.write($0) }
      guard case .count(4) = read(ended.server) else { throw TestFailure("nothing after the end of our side") }

      let cut = try Pair(authority)
      try cut.shakeHands()
      _ = read(cut.client)
      cut.close(.server)
      guard case .failed = read(cut.client) else { throw TestFailure("a cut is no end") }
    }
  }
}

struct Authority {
  let folder: URL
  let authority: TestAuthority
  let server: TestAuthority.Pair
}

func withAuthority(_ body: (Authority) throws -> Void) throws {
  try temporaryFolder { folder in
    let authority = try TestAuthority(folder)
    try body(Authority(folder: folder, authority: authority, server: authority.issueServer()))
  }
}

/// The connected sessions of a server and a client.
final class Pair {
  enum Side: Int {
    case server, client
  }

  let server: TLSSession
  let client: TLSSession
  private var descriptors: [Int32]

  init(
    _ authority: Authority, server: TestAuthority.Pair? = nil, client: TestAuthority.Pair? = nil,
    isMutual: Bool = false, name: String = "localhost", protocols: [String] = []
  ) throws {
    var descriptors: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &descriptors) == 0 else { throw TestFailure("no sockets") }
    self.descriptors = descriptors
    let pair = server ?? authority.server
    let files = TLSFiles(
      certificate: pair.certificate, key: pair.key,
      authorities: isMutual || client != nil ? authority.authority.certificate : nil)
    let identity = client.map { TLSFiles(certificate: $0.certificate, key: $0.key) }
    let trusting = try TLSContext(
      clientTrusting: authority.authority.certificate, identity: identity, protocols: protocols)
    self.server = try #require(
      TLSSession(accepting: descriptors[0], TLSContext(server: files, protocols: ["h2"])))
    self.client = try #require(TLSSession(connecting: descriptors[1], to: name, trusting))
  }

  deinit {
    for descriptor in descriptors where descriptor >= 0 { Glibc.close(descriptor) }
  }

  func close(_ side: Side) {
    Glibc.close(descriptors[side.rawValue])
    descriptors[side.rawValue] = -1
  }

  func sendPlain(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { write(descriptors[1], $0.baseAddress, $0.count) }
  }

  func shrinkBuffers() {
    for descriptor in descriptors {
      for option in [SO_SNDBUF, SO_RCVBUF] {
        var size: Int32 = 4096
        setsockopt(descriptor, SOL_SOCKET, option, &size, 4)
      }
    }
  }

  func shakeHands() throws {
    guard try failures() == [nil, nil] else { throw TestFailure("no handshake") }
  }

  /// Performs the handshake. Returns the failure of the server and of the client.
  func failures() throws -> [TLSFailure.Reason?] {
    var results: [TLSResult?] = [nil, nil]
    for _ in 0..<100 {
      for (index, session) in [client, server].enumerated() {
        switch session.handshake() {
        case .wantsRead, .wantsWrite: break
        case let result: results[1 - index] = result
        }
      }
      if results.allSatisfy({ $0 != nil }) {
        return results.map { if case .failed(let failure) = $0 { failure.reason } else { nil } }
      }
    }
    throw TestFailure("the handshake does not end")
  }
}
