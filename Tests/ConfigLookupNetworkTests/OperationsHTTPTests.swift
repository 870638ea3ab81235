// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import TestSupport
internal import Testing

/// Tests with real sockets. They run one at a time, because they observe threads and descriptors of the process.
@Suite(.serialized) struct OperationsHTTPTests {
  @Test func routesAnswer() throws {
    try withServer { server throws in
      let reply = try server.ask("GET /hello?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(reply.contains("\r\nContent-Type: application/json\r\n"))
      #expect(reply.hasSuffix("\r\n\r\n{\"query\":\"a=b\"}\n"))
      let old = try server.ask("GET /hello HTTP/1.0\r\n\r\n")
      #expect(old.hasPrefix("HTTP/1.0 200 OK\r\n") && old.hasSuffix("{\"query\":\"\"}\n"))
      let posted = try server.ask(
        "POST /length HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
      #expect(posted.hasPrefix("HTTP/1.1 202 ") && posted.hasSuffix("\r\n\r\n3"))
    }
  }

  /// Older versions of Prometheus and `nc` do this.
  @Test func aPeerThatHasEndedItsSideGetsTheWholeReply() throws {
    try withServer { server throws in
      for request in ["GET /large HTTP/1.0\r\n\r\n", "GET /large HTTP/1.1\r\nConnection: close\r\n\r\n"] {
        let socket = try server.connect()
        socket.send(request)
        socket.finishSending()
        #expect(try socket.readToEnd().utf8.count > 1_000_000)
      }
    }
  }

  @Test func headHasTheLengthAndNoBody() throws {
    try withServer { server throws in
      let reply = try server.ask("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(reply.contains("\r\nContent-Length: 13\r\n"))
      #expect(reply.components(separatedBy: "Content-Length").count == 2)
      #expect(reply.hasSuffix("\r\n\r\n"))
    }
  }

  @Test(arguments: [
    ("GET /hell", "404"), ("GET /hello/", "404"), ("GET /", "404"), ("DELETE /nothing", "404"),
    ("GET //hello", "404"), ("GET /hello%00", "404"), ("OPTIONS *", "404"), ("GET /%ff\u{1}", "404"),
    ("POST /hello", "405"), ("DELETE /hello", "405"), ("TRACE /hello", "405"), ("HEAD /length", "405"),
    ("BREW /hello", "501"), ("get /hello", "501"), ("GET http://a:b:c/", "400"),
  ])
  func whatIsWrongIsSaid(request: String, status: String) throws {
    try withServer { server throws in
      let reply = try server.ask("\(request) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(reply)")
      if status == "405" {
        let allowed = request.hasSuffix("/length") ? "POST" : "GET, HEAD"
        #expect(reply.contains("\r\nAllow: \(allowed)\r\n"))
      }
    }
  }

  @Test(arguments: [
    "\r\n\r\n\r\n", "hello\r\n\r\n", "GET /hello\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET /hello HTTP/9.9\r\n\r\n",
    "GET /hello HTTP/1.1\r\nno colon\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\r\n",
    "POST /length HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "POST /length HTTP/1.1\r\nContent-Length: abc\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /" + String(repeating: "a", count: 9000),
    "POST /length HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ])
  func garbageHurtsNobody(garbage: String) throws {
    try withServer { server throws in
      let socket = try server.connect()
      socket.send(garbage)
      socket.finishSending()
      let reply = try socket.readToEnd()
      #expect(!reply.contains(" 200 ") && !reply.contains(" 202 "), "\(reply)")
      #expect(try server.ask("GET /hello HTTP/1.0\r\n\r\n").contains(" 200 "))
    }
  }

  @Test func limitsHold() throws {
    try withServer { server throws in
      func sized(_ bytes: Int) -> String {
        "GET /hello HTTP/1.1\r\nConnection: close\r\nX: \(String(repeating: "x", count: bytes))\r\n\r\n"
      }
      #expect(try server.ask(sized(8000)).hasPrefix("HTTP/1.1 200 "))
      #expect(try server.ask(sized(8300)).hasPrefix("HTTP/1.1 400 "))
      func posted(_ bytes: Int) -> String {
        let head = "POST /length HTTP/1.1\r\nConnection: close\r\nContent-Length: \(bytes)\r\n\r\n"
        return head + String(repeating: "b", count: bytes)
      }
      #expect(try server.ask(posted(65_536)).hasSuffix("\r\n\r\n65536"))
      #expect(try server.ask(posted(65_537)).hasPrefix("HTTP/1.1 413 "))
      let head = "POST /length HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      let chunk = "8000\r\n" + String(repeating: "c", count: 32_768) + "\r\n"
      #expect(try server.ask(head + chunk + chunk + "0\r\n\r\n").hasSuffix("\r\n\r\n65536"))
      #expect(try server.ask(head + chunk + chunk + "1\r\nc\r\n0\r\n\r\n").hasPrefix("HTTP/1.1 413 "))
    }
  }

  @Test func aConnectionTakesManyRequests() throws {
    try withServer { server throws in
      let socket = try server.connect()
      for number in 0..<20 {
        socket.send("GET /hello?\(number) HTTP/1.1\r\n\r\n")
        #expect(try socket.read(through: "}\n").hasSuffix("\"\(number)\"}\n"))
      }
      // These requests are sent together, and answered in order.
      socket.send(
        "GET /hello?a HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\nGET /hello?c HTTP/1.1\r\nConnection: close\r\n\r\n")
      let replies = try socket.readToEnd()
      let parts = replies.components(separatedBy: "HTTP/1.1 ").dropFirst().map { $0.prefix(3) }
      #expect(parts == ["200", "404", "200"])
    }
  }

  @Test func aRequestMayComeByteByByte() throws {
    try withServer { server throws in
      let socket = try server.connect()
      for byte in "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n" { socket.send(String(byte)) }
      #expect(try socket.readToEnd().hasPrefix("HTTP/1.1 200 "))
    }
  }

  @Test func thePortIsFreeOrNamed() throws {
    try withServer { server throws in
      #expect(server.http.address.port != 0)
      let taken = server.http.address.hostAndPort
      let error = #expect(throws: NetworkError.self) { try OperationsHTTP(taken, routes: [:]) }
      #expect(error?.code == .addressInUse)
      #expect(error?.message.contains("\(taken)") == true && error?.message.contains("another port") == true)
    }
    try withServer(host: "::1") { server throws in
      #expect("\(server.http.address)".hasPrefix("[::1]:"))
      #expect(try server.ask("GET /hello HTTP/1.0\r\n\r\n").contains(" 200 "))
    }
  }

  @Test func whoIsOfNoUseIsClosed() throws {
    var limits = OperationsLimits()
    limits.idleTimeout = .milliseconds(300)
    limits.firstRequestTimeout = .milliseconds(300)
    limits.checkInterval = .milliseconds(50)
    try withServer(limits: limits) { server throws in
      let silent = try server.connect()
      let slow = try server.connect()
      let busy = try server.connect()
      let end = MonotonicTime.now.advanced(by: .seconds(1))
      while MonotonicTime.now < end {
        slow.send("G")
        busy.send("GET /hello HTTP/1.1\r\n\r\n")
        _ = try busy.read(through: "}\n")
        usleep(20_000)
      }
      #expect(try silent.readToEnd() == "")
      #expect(!slow.isOpen)
      #expect(busy.isOpen)
    }
  }

  @Test func theFirstRequestHasLessTime() throws {
    var limits = OperationsLimits()
    limits.firstRequestTimeout = .milliseconds(200)
    limits.checkInterval = .milliseconds(50)
    let report = LimitReport()
    try withServer(limits: limits, report: report) { server throws in
      let (silent, slow, idle) = (try server.connect(), try server.connect(), try server.connect())
      idle.send("GET /hello HTTP/1.1\r\n\r\n")
      _ = try idle.read(through: "}\n")
      slow.send("GET /hello HTTP/1.1\r\nHo")
      #expect(try silent.readToEnd() == "")
      #expect(try !slow.readToEnd().contains(" 200 "))
      #expect(idle.isOpen)
      #expect(report.count(.httpFirstRequest) == 2)
    }
  }

  /// Connections that send nothing are replaced, regardless of their number.
  @Test func silentConnectionsGiveWay() throws {
    var limits = OperationsLimits()
    limits.connections = 4
    let report = LimitReport()
    try withServer(limits: limits, report: report) { server throws in
      var held: [RawSocket] = []
      for _ in 0..<10 {
        held += try (0..<4).map { _ in try server.connect() }
        #expect(try server.ask("GET /hello HTTP/1.0\r\n\r\n").contains(" 200 "))
      }
      #expect(report.count(.httpConnections) >= 30)
      #expect(held.filter(\.isOpen).count <= 4)
    }
  }

  @Test func anIdleConnectionGivesWayBeforeABusyOne() throws {
    var limits = OperationsLimits()
    limits.connections = 2
    try withServer(limits: limits) { server throws in
      let busy = try server.connect()
      for _ in 0..<20 { busy.send("GET /large HTTP/1.1\r\n\r\n") }
      _ = try busy.read(through: "xxx")
      let idle = try server.connect()
      idle.send("GET /hello HTTP/1.1\r\n\r\n")
      _ = try idle.read(through: "}\n")
      #expect(try server.ask("GET /hello HTTP/1.0\r\n\r\n").contains(" 200 "))
      #expect(!idle.isOpen)
      #expect(busy.isOpen)
    }
  }

  @Test func oneAddressHasItsShare() throws {
    var limits = OperationsLimits()
    limits.connectionsPerAddress = 2
    let report = LimitReport()
    try withServer(limits: limits, report: report) { server throws in
      let held = try (0..<6).map { _ in try server.connect() }
      try poll("they are too many") { report.count(.httpConnectionsPerAddress) == 4 }
      #expect(report.count(.httpConnections) == 0)
      #expect(held.filter(\.isOpen).count == 2)
      #expect(try server.ask("GET /hello HTTP/1.0\r\n\r\n").contains(" 200 "))
    }
  }

  @Test func aPeerThatIsGoneIsNoSignal() throws {
    try withServer { server throws in
      for _ in 0..<20 {
        let socket = try server.connect()
        for _ in 0..<50 { socket.send("GET /large HTTP/1.1\r\n\r\n") }
        socket.reset()
      }
      #expect(try server.ask("GET /hello HTTP/1.0\r\n\r\n").contains(" 200 "))
    }
  }

  @Test func stoppingLeavesNothingBehind() throws {
    // This creates the objects that exist once in a process.
    try withServer { _ = try $0.ask("GET /hello HTTP/1.0\r\n\r\n") }
    let before = try descriptors()
    for _ in 0..<5 {
      let http = try OperationsHTTP(HostAndPort(host: "127.0.0.1", port: 0), routes: routes)
      let server = TestHTTP(http: http)
      let idle = try server.connect()
      let half = try server.connect()
      half.send("GET /hello HTTP/1.1\r\nHos")
      let unread = try server.connect()
      for _ in 0..<50 { unread.send("GET /large HTTP/1.1\r\n\r\n") }
      let used = try server.connect()
      used.send("GET /hello HTTP/1.1\r\n\r\n")
      _ = try used.read(through: "}\n")
      #expect(try threads().contains("http"))
      http.stop()
      #expect(try !threads().contains("http"))
      #expect(try idle.readToEnd() == "")
      for socket in [idle, half, unread, used] { socket.close() }
      #expect(throws: NetworkError.self) { try server.connect() }
    }
    try poll("the descriptors are closed") { try descriptors() <= before }
  }
}

private func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }

private func threads() throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap { task in
    (try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines)
  }
}
