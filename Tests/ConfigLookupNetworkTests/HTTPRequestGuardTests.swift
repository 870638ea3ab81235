// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupNetwork
internal import Foundation
internal import TestSupport
internal import Testing

/// Tests of the requests that a page of another site can make a browser send.
@Suite(.serialized) struct HTTPRequestGuardTests {
  private static let forms = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "TEXT/plain;a=b"]

  /// The request line, the header fields and the expected status. `$PORT` and `$ADDRESS` are those of the server.
  private static let table: [(request: String, fields: [String], status: String)] = [
    // These are requests of probes, scrapers and users.
    ("GET /hello", [], "200"),
    ("GET /hello", ["Host: $ADDRESS"], "200"),
    ("GET /hello", ["Host: 127.0.0.1"], "200"),
    ("GET /hello", ["Host: 127.0.0.9:1"], "200"),
    ("GET /hello", ["Host: [::1]:9465"], "200"),
    ("GET /hello", ["Host: [::ffff:127.0.0.1]"], "200"),
    ("GET /hello", ["Host: localhost:8080"], "200"),
    ("GET /hello", ["Host: LocalHost."], "200"),
    ("GET /hello", ["Host: config-lookup:9464"], "200"),
    ("GET /hello", ["Host: Config-Lookup"], "200"),
    ("GET /hello", ["Host: ported.example:81"], "200"),
    ("GET /hello", ["Host: 192.0.2.7"], "200"),
    ("GET http://localhost/hello", ["Host: localhost"], "200"),
    ("POST /length", [], "202"),
    ("POST /length", ["Host: $ADDRESS", "Content-Type: application/json"], "202"),
    // These are requests of a page of this server.
    ("POST /length", ["Host: $ADDRESS", "Origin: http://$ADDRESS", "Sec-Fetch-Site: same-origin"], "202"),
    ("GET /hello", ["Host: localhost", "Origin: http://localhost:80"], "200"),
    ("GET /hello", ["Host: config-lookup", "Origin: https://config-lookup"], "200"),
    ("GET /hello", ["Host: $ADDRESS", "Sec-Fetch-Site: none"], "200"),
    // This is a link that a user followed.
    ("GET /hello", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], "200"),
    // DNS rebinding is rejected for every path, even one that does not exist.
    ("GET /hello", ["Host: evil.example:$PORT"], "421"),
    ("GET /none", ["Host: evil.example"], "421"),
    ("POST /length", ["Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"], "421"),
    ("GET /hello", ["Host: 127.0.0.1.nip.io"], "421"),
    ("GET /hello", ["Host: 127.evil.example"], "421"),
    ("GET /hello", ["Host: localhost.evil.example"], "421"),
    ("GET /hello", ["Host: evil.localhost"], "421"),
    ("GET /hello", ["Host: 0.0.0.0:$PORT"], "421"),
    ("GET /hello", ["Host: 192.0.2.8"], "421"),
    ("GET /hello", ["Host: ported.example:82"], "421"),
    ("GET /hello", ["Host: xconfig-lookup"], "421"),
    ("GET http://evil.example/hello", ["Host: localhost"], "421"),
    ("GET http://localhost/hello", ["Host: evil.example"], "421"),
    // These are not valid hosts. The Kelvin sign is not a K.
    ("GET /hello", ["Host:"], "400"),
    ("GET /hello", ["Host: localhost", "Host: localhost"], "400"),
    ("GET /hello", ["Host: localhost", "Host: evil.example"], "400"),
    ("GET /hello", ["Host: config-loo\u{212a}up"], "400"),
    ("GET /hello", ["Host: localhost:99999"], "400"),
    ("GET /hello", ["Host: localhost/"], "400"),
    ("GET /hello", ["Host: user@localhost"], "400"),
    ("GET /hello", ["Host: [::1"], "400"),
    ("GET /hello", ["Host: [localhost]"], "400"),
    // These are requests of pages of other sites.
    ("POST /length", ["Origin: http://evil.example"], "403"),
    ("POST /length", ["Host: $ADDRESS", "Origin: http://evil.example"], "403"),
    ("POST /length", ["Host: $ADDRESS", "Origin: null"], "403"),
    ("POST /length", ["Host: $ADDRESS", "Origin: "], "403"),
    ("POST /length", ["Host: $ADDRESS", "Origin: http://127.0.0.1:1"], "403"),
    ("POST /length", ["Host: localhost", "Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"], "403"),
    ("POST /length", ["Host: localhost", "Origin: http://localhost.evil.example"], "403"),
    ("POST /length", ["Host: localhost", "Origin: file://localhost"], "403"),
    ("POST /length", ["Host: localhost", "Origin: http://localhost", "Origin: http://evil.example"], "403"),
    ("POST /length", ["Host: $ADDRESS", "Sec-Fetch-Site: cross-site"], "403"),
    ("POST /length", ["Host: $ADDRESS", "Sec-Fetch-Site: same-site"], "403"),
    ("GET /hello", ["Host: $ADDRESS", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], "403"),
    ("GET /none", ["Host: $ADDRESS", "Origin: http://evil.example"], "403"),
    ("OPTIONS /length", ["Host: $ADDRESS", "Origin: http://evil.example"], "403"),
    (
      "POST /length",
      ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Host: $ADDRESS"], "403"
    ),
    (
      "GET /hello", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], "403"
    ),
    // These are requests that an HTML form can send, from a browser that does not mark them.
    ("POST /length", ["Host: $ADDRESS", "Content-Type: \(forms[0])"], "415"),
    ("POST /length", ["Host: $ADDRESS", "Content-Type: \(forms[1])"], "415"),
    ("POST /length", ["Host: $ADDRESS", "Content-Type: \(forms[2])"], "415"),
    ("POST /length", ["Host: $ADDRESS", "Content-Type: application/json", "Content-Type: text/plain"], "415"),
    ("DELETE /hello", ["Host: $ADDRESS", "Content-Type: text/plain"], "415"),
  ]

  @Test func eachRequestHasItsOutcome() throws {
    let log = CapturedLog()
    let allowed = ["config-lookup", "ported.example:81", "192.0.2.7"].compactMap(HTTPRequestGuard.AllowedHost.init)
    let http = try OperationsHTTP(
      HostAndPort(host: "127.0.0.1", port: 0), routes: routes, allowedHosts: allowed, logger: log.logger)
    defer { http.stop() }
    let server = TestHTTP(http: http)
    var refused = 0
    for (request, fields, status) in Self.table {
      let lines = fields.map {
        "\($0)\r\n".replacingOccurrences(of: "$PORT", with: "\(http.address.port)")
          .replacingOccurrences(of: "$ADDRESS", with: "\(http.address)")
      }
      let reply = try server.ask(
        "\(request) HTTP/1.1\r\n\(lines.joined())Content-Length: 0\r\nConnection: close\r\n\r\n")
      #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(request) \(fields): \(reply.prefix(200))")
      if !status.hasPrefix("2") { refused += 1 }
    }
    let counted = HTTPRequestGuard.Refusal.allCases.map(http.refusals)
    #expect(counted.reduce(0, +) == UInt64(refused) && counted.allSatisfy { $0 > 0 }, "\(counted)")
    let lines = log.lines(event: "http_request_refused")
    #expect(lines.count == 4 * 5, "at most five lines for each reason: \(lines.count)")
    #expect(lines.contains { $0.contains("\"host\":\"evil.example:\(http.address.port)\"") })
  }

  /// A name in the listen address is a host of the server; an address is allowed if the connection was accepted on it.
  @Test func whatIsListenedOnIsAllowed() throws {
    try withServer(host: "0.0.0.0") { server throws in
      let socket = try RawSocket(HostAndPort(host: "127.0.0.2", port: server.http.address.port))
      socket.send("GET /hello HTTP/1.1\r\nHost: 127.0.0.2\r\nConnection: close\r\n\r\n")
      #expect(try socket.readToEnd().hasPrefix("HTTP/1.1 200 "))
    }
    try withServer(host: "localhost") { server throws in
      #expect(try server.ask("GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n").contains(" 200 "))
    }
  }

  @Test(arguments: ["", " ", "a b", "a/b", "http://a", "a:x", "a:65536", "[::1", "[a]", "*"])
  func whatIsNoHostIsNoneToAllow(text: String) {
    #expect(HTTPRequestGuard.AllowedHost(text) == nil)
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.9.8.7", true), ("::1", true), ("::ffff:127.0.0.1", true), ("localhost", true),
    ("LOCALHOST", true), ("", false), ("0.0.0.0", false), ("::", false), ("128.0.0.1", false), ("10.0.0.1", false),
    ("127.evil.example", false), ("127.a.b.c", false), ("127.0.0.1.nip.io", false), ("localhost.evil.example", false),
    ("127.0.0.256", false), ("127.1", false), ("::127.0.0.1", false),
  ]) func loopbackIsDecidedByTheAddress(host: String, isLoopback: Bool) {
    #expect(HostAndPort(host: host, port: 1).isLoopback == isLoopback)
  }
}
