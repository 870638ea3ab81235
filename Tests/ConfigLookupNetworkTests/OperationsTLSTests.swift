// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupTLS
internal import Foundation
internal import TestSupport
internal import Testing

/// Tests of the HTTP port over TLS.
@Suite struct OperationsTLSTests {
  private let get = "GET /hello?a HTTP/1.1\r\nConnection: close\r\n\r\n"

  @Test func answersOverTLSAndNotWithout() throws {
    try temporaryFolder { folder throws in
      let authority = try TestAuthority(folder)
      let pair = try authority.issueServer()
      let files = TLSFiles(certificate: pair.certificate, key: pair.key, authorities: authority.certificate)
      let log = CapturedLog()
      let http = try OperationsHTTP(
        HostAndPort(host: "127.0.0.1", port: 0), routes: routes,
        tls: TLSServer(files, protocols: ["http/1.1"], clients: .welcome), logger: log.logger)
      defer { http.stop() }
      let server = TestHTTP(http: http)
      let trusting = try TLSContext(clientTrusting: authority.certificate, protocols: ["h2", "http/1.1"])
      for _ in 0..<20 {
        let reply = try server.ask(get, trusting)
        #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n") && reply.hasSuffix("{\"query\":\"a\"}\n"))
      }
      let large = try server.ask("GET /large HTTP/1.0\r\n\r\n", trusting)
      #expect(large.utf8.count > 1_000_000)
      let body = String(repeating: "b", count: 60_000)
      let posted = try server.ask(
        "POST /length HTTP/1.1\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n\(body)", trusting)
      #expect(posted.hasSuffix("\r\n\r\n60000"))

      let worker = try authority.issue("worker")
      let stranger = try TestAuthority(folder, "stranger").issue("worker")
      func context(_ pair: TestAuthority.Pair) throws -> TLSContext {
        try TLSContext(
          clientTrusting: authority.certificate, identity: TLSFiles(certificate: pair.certificate, key: pair.key))
      }
      #expect(try server.ask(get, context(worker)).contains(" 200 "), "a client may have a certificate")
      #expect(throws: TestFailure.self) { try server.ask(get, context(stranger)) }
      try poll("counted") { http.handshakeFailures(.untrustedCertificate) == 1 }

      #expect(try !server.ask(get).contains(" 200 "), "not in the clear")
      try poll("counted") { http.handshakeFailures(.plainText) == 1 }
      let lines = log.lines(event: "tls_handshake_failed")
      #expect(lines.count == 2 && lines.allSatisfy { $0.contains("\"peer\":\"127.0.0.1:") }, "\(lines)")
      #expect(try server.ask(get, trusting).contains(" 200 "))
    }
  }

  @Test func whoDoesNotShakeHandsIsClosed() throws {
    try temporaryFolder { folder throws in
      let pair = try TestAuthority(folder).issueServer()
      var limits = OperationsLimits()
      limits.idleTimeout = .milliseconds(200)
      limits.checkInterval = .milliseconds(50)
      let http = try OperationsHTTP(
        HostAndPort(host: "127.0.0.1", port: 0), routes: routes, limits: limits,
        tls: TLSServer(TLSFiles(certificate: pair.certificate, key: pair.key), protocols: []))
      defer { http.stop() }
      let silent = try TestHTTP(http: http).connect()
      #expect(try silent.readToEnd() == "")
    }
  }
}
