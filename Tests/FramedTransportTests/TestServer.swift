import Core
import FramedTransport
import Glibc
import Network
import RPC
import Testing

/// What the streams of a test's router have seen.
final class StreamLog: Sendable {
  struct Entries: Sendable {
    var opened = 0
    var cancelled = 0
    var drained = 0
    /// Streams that found the peer slow.
    var blocked = 0
    /// Times a stream was told to go on.
    var resumed = 0
    var payloadBytes = 0
    /// Times the method `Wait` was asked, and waits that it began.
    var asks = 0
    var waits = 0
  }
  private let entries = Locked(Entries())

  var now: Entries { entries.withLock { $0 } }

  /// Counts a question to the method `Wait`.
  func waitAsked() -> Int {
    entries.withLock { entries in
      entries.asks += 1
      return entries.asks
    }
  }

  func note(_ change: (inout Entries) -> Void) {
    entries.withLock { change(&$0) }
  }
}

/// Sends replies of `size` bytes while the peer takes them: `count` of them and the end, or for ever.
private final class ReplyStream: RPCStreamHandler {
  private let writer: any RPCStreamWriter
  private let log: StreamLog
  private var remaining: Int
  private let size: Int
  private var sent = 0
  private let endsWhenDrained: Bool
  private let isCareless: Bool
  private let endsItself: Bool

  init(
    _ writer: any RPCStreamWriter, _ log: StreamLog, count: Int, size: Int, endsWhenDrained: Bool = false,
    isCareless: Bool = false, endsItself: Bool = true
  ) {
    self.endsItself = endsItself
    self.isCareless = isCareless
    self.writer = writer
    self.log = log
    self.size = size
    self.endsWhenDrained = endsWhenDrained
    remaining = count
    log.note { $0.opened += 1 }
    go()
  }

  private func go() {
    var reply = RPCReply()
    reply.body = [UInt8](repeating: 7, count: size)
    while remaining > 0 {
      guard isCareless || writer.isWritable else { return log.note { $0.blocked += 1 } }
      remaining -= 1
      reply.head = [UInt8(truncatingIfNeeded: sent)]
      sent += 1
      log.note { $0.payloadBytes += size + 1 }
      writer.send(reply)
      if remaining == 0, endsItself { writer.finish(.ok, RPCMetadata()) }
    }
  }

  func writable() {
    log.note { $0.resumed += 1 }
    go()
  }

  func cancelled() {
    log.note { $0.cancelled += 1 }
    // Too late, and harmless.
    writer.finish(.ok, RPCMetadata())
    writer.send(RPCReply())
  }

  func draining() {
    log.note { $0.drained += 1 }
    guard endsWhenDrained else { return }
    writer.finish(RPCStatus(.ok, ""), RPCMetadata())
  }
}

/// As large as a document can be.
let largeReplyBytes = 16 * 1024 * 1024

/// `Echo`, `Fail`, `Metadata`, `Deadline`, `Large`; and the streams `Count` (request: number, size), `Hold`,
/// `HoldUntilDrained`, `Flood`, `Refuse`, `Careless`, `CarelessHold`, `FinishThenThrow`.
func testRouter(_ log: StreamLog) -> RPCRouter {
  func unary(
    _ name: String, _ body: @escaping @Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> Void
  ) -> RPCMethod {
    RPCMethod(
      service: "test", name: name,
      handler: .unary { (request, reply) throws(RPCStatus) in
        try body(request, &reply)
        return nil
      })
  }
  func stream(
    _ name: String,
    _ body: @escaping @Sendable (borrowing RPCRequest, any RPCStreamWriter) throws(RPCStatus) -> any RPCStreamHandler
  ) -> RPCMethod {
    RPCMethod(
      service: "test", name: name,
      handler: .serverStreaming { (request, writer, _) throws(RPCStatus) in try body(request, writer) })
  }
  return RPCRouter([
    unary("Echo") { request, reply in
      let half = request.message.count / 2
      reply.head.append(contentsOf: request.message[..<half])
      reply.body = Array(request.message[half...])
    },
    unary("Fail") { (_, reply) throws(RPCStatus) in
      reply.head = [1, 2, 3]
      reply.metadata.append("why", "asked for")
      throw RPCStatus(.notFound, "no key \"ä\"")
    },
    unary("Metadata") { request, reply in
      reply.body = Array(request.metadata.pairs.map { "\($0.key)=\($0.value)" }.joined(separator: ";").utf8)
      for pair in request.metadata.pairs { reply.metadata.append(pair.key, pair.value) }
    },
    unary("Deadline") { request, reply in
      reply.body = Array("\(request.deadline.map { Int($0.seconds(since: .now).rounded()) } ?? -1)".utf8)
    },
    // Asks again so many times as the request says; 255: waits for what never comes.
    RPCMethod(
      service: "test", name: "Wait",
      handler: .unary { (request, reply) throws(RPCStatus) in
        let message = Array(request.message)
        let asks = log.waitAsked()
        reply.metadata.append("asks", "\(asks)")
        if message[0] != 255, asks > Int(message[0]) {
          reply.body = message
          return nil
        }
        if message.count > 1, asks > Int(message[1]) { throw RPCStatus(.aborted, "enough") }
        let worker = request.worker
        return RPCWait(
          deadline: .now.advanced(bySeconds: message[0] == 255 ? 0.05 : 60), expired: RPCStatus(.unavailable, "in vain")
        ) { ready in
          log.note { $0.waits += 1 }
          return worker.schedule(afterSeconds: message[0] == 255 ? 3600 : 0.001, ready)
        }
      }),
    unary("Large") { _, reply in reply.body = [UInt8](repeating: 5, count: largeReplyBytes) },
    stream("Count") { request, writer in
      ReplyStream(writer, log, count: Int(request.message[0]), size: Int(request.message[1]))
    },
    stream("Hold") { _, writer in ReplyStream(writer, log, count: 0, size: 0) },
    stream("HoldUntilDrained") { _, writer in ReplyStream(writer, log, count: 0, size: 0, endsWhenDrained: true) },
    stream("Flood") { _, writer in ReplyStream(writer, log, count: .max, size: 16 * 1024) },
    stream("Careless") { _, writer in ReplyStream(writer, log, count: 100, size: 64 * 1024, isCareless: true) },
    stream("CarelessHold") { _, writer in
      ReplyStream(writer, log, count: 100, size: 64 * 1024, isCareless: true, endsItself: false)
    },
    stream("FinishThenThrow") { (_, writer) throws(RPCStatus) in
      writer.finish(RPCStatus(.aborted, "first"), RPCMetadata())
      throw RPCStatus(.internalError, "second")
    },
    stream("Refuse") { (_, _) throws(RPCStatus) in throw RPCStatus(.permissionDenied, "not you") },
  ])
}

struct TestServer {
  let server: ConnectionServer
  let endpoint: FramedEndpoint
  let group: EventLoopGroup
  let log: StreamLog

  var address: HostAndPort { server.address.hostAndPort }

  func client() throws -> FramedClient {
    try FramedClient(address)
  }

  func callCount(_ method: String, _ status: RPCStatus.Code) -> UInt64 {
    endpoint.calls.filter { $0.method.hasSuffix("/\(method)") && $0.status == status }
      .reduce(0) { $0 + $1.durations.count }
  }

  func raw() throws -> RawSocket {
    try RawSocket(address)
  }
}

/// Runs a server on a free port, and leaves nothing of it behind.
func withServer(
  loops: Int = 2, maximumAgeSeconds: Double = 0, logger: Logger = .silent,
  _ configure: (inout ConnectionServer.Configuration) -> Void = { _ in },
  _ body: (TestServer) throws -> Void
) throws {
  let group = try EventLoopGroup(count: loops)
  defer { group.stop() }
  var configuration = ConnectionServer.Configuration(listen: HostAndPort(host: "127.0.0.1", port: 0))
  configure(&configuration)
  let log = StreamLog()
  let endpoint = FramedEndpoint(router: testRouter(log), group: group, maximumAgeSeconds: maximumAgeSeconds)
  let server = try ConnectionServer(
    endpoint: endpoint, group: group, configuration: configuration, logger: logger)
  defer {
    server.stop()
    #expect(server.waitUntilDrained(deadline: soon()), "connections are left")
  }
  try body(TestServer(server: server, endpoint: endpoint, group: group, log: log))
}

/// Far enough that only a failure reaches it.
func soon() -> MonotonicTime { .now.advanced(bySeconds: 30) }

/// Waits for a condition.
func eventually(_ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool)
  rethrows
{
  let deadline = soon()
  while MonotonicTime.now < deadline {
    if try condition() { return }
    usleep(500)
  }
  Issue.record(what, sourceLocation: sourceLocation)
}

/// A socket that does what it is told, wrong or not.
final class RawSocket {
  private var descriptor: Int32

  init(_ address: HostAndPort) throws {
    descriptor = try connectSocket(to: address, deadline: soon())
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Keeps the peer's bytes in few places but its own.
  func shrinkReceiveBuffer() {
    var size: Int32 = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
  }

  /// Sends what the socket takes without waiting, and says how much that was.
  func sendSome(_ bytes: [UInt8]) -> Int {
    max(0, bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) })
  }

  func sendAll(_ bytes: [UInt8]) {
    var rest = bytes[...]
    let deadline = soon()
    while !rest.isEmpty, waitForSocket(descriptor, writable: true, deadline: deadline) {
      let count = sendSome(Array(rest))
      if count == 0 { usleep(200) }
      rest = rest.dropFirst(count)
    }
  }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Reads until the peer closes; nil if the connection was reset or the peer does not close.
  func readToEnd() -> [UInt8]? {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while waitForSocket(descriptor, writable: false, deadline: soon()) {
      let count = read(descriptor, &buffer, buffer.count)
      if count == 0 { return result }
      if count < 0 { return errno == EAGAIN ? nil : nil }
      result += buffer[..<count]
    }
    return nil
  }
}
