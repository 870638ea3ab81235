// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
public import ConfigLookupRPC
internal import Glibc

/// Sends replies of `size` bytes while the peer accepts them: `count` replies and the end of the stream, or without
/// end.
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
    // These calls are too late, and must be harmless.
    writer.finish(.ok, RPCMetadata())
    writer.send(RPCReply())
  }

  func draining() {
    log.note { $0.drained += 1 }
    guard endsWhenDrained else { return }
    writer.finish(.ok, RPCMetadata())
  }
}

/// The maximum size of a document, in bytes.
public let largeReplyBytes = 16 * 1024 * 1024

/// Returns the methods of the service `test` for tests of transports.
///
/// The unary methods are `Echo`, `Fail`, `Metadata`, `Deadline`, `Wait`, `Large`, and `Ramp`, which has a fast path.
/// The streams are `Count` (request: number, size), `Hold`, `HoldUntilDrained`, `Flood`, `Refuse`, `Careless`,
/// `CarelessHold`, `FinishThenThrow`, `Costly`, which takes 5 ms to begin, and `Tell`, of which two may be open on a
/// connection. `Chat` is bidirectional.
///
/// - Parameter log: counts the events of the calls.
/// - Returns: the router.
public func testRouter(_ log: StreamLog) -> RPCRouter {
  RPCRouter(unaryMethods + [waitMethod(log), chatMethod(log)] + streamMethods(log))
}

/// The reply of `Ramp`: the first bytes of this array, in a number of hundreds.
public let ramp: [UInt8] = (0..<25_500).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

/// The fast path of `Ramp`. A request with the byte 13 is left to the general path.
private final class PlainRamp: RPCPlainCalls {
  private let memory: UnsafeMutableRawBufferPointer
  private var counts: [Int?] = []

  init() {
    memory = .allocate(byteCount: ramp.count, alignment: 1)
    memory.copyBytes(from: ramp)
  }

  deinit { memory.deallocate() }

  func prepare(for messages: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
    counts = messages.map { $0.count == 1 && $0[0] != 13 ? Int($0[0]) * 100 : nil }
  }

  func reply(at place: Int, _ identity: RPCIdentity?) -> RPCPlainReply? {
    guard let count = counts[place] else { return nil }
    let bytes = UnsafeRawBufferPointer(memory)
    let head = min(count, 50)
    return RPCPlainReply(head: .init(rebasing: bytes[..<head]), body: .init(rebasing: bytes[head..<count]))
  }
}

private func unary(
  _ name: String, _ body: @escaping @Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> Void
) -> RPCMethod {
  RPCMethod(
    service: "test", name: name,
    handler: .unary { (request, reply) throws(RPCStatus) in
      try body(request, &reply)
      return nil
    })
}

private var unaryMethods: [RPCMethod] {
  [
    unary("Echo") { request, reply in
      let half = request.message.count / 2
      reply.head.append(contentsOf: request.message[..<half])
      reply.body = Array(request.message[half...])
    },
    unary("Fail") { (_, reply) throws(RPCStatus) in
      reply.head = [1, 2, 3]
      reply.metadata.append("why", "asked for")
      throw RPCStatus(clientSide: .notFound, "no key \"ä\"")
    },
    unary("Metadata") { request, reply in
      reply.body = Array(request.metadata.pairs.map { "\($0.key)=\($0.value)" }.joined(separator: ";").utf8)
      for pair in request.metadata.pairs { reply.metadata.append(pair.key, pair.value) }
    },
    unary("Deadline") { request, reply in
      reply.body = Array("\(request.deadline.map { Int($0.duration(since: .now).seconds.rounded()) } ?? -1)".utf8)
    },
    RPCMethod(
      service: "test", name: "Ramp",
      handler: .unary { request, reply in
        reply.body = Array(ramp[..<(Int(request.message[0]) * 100)])
        return nil
      }, plain: { _ in PlainRamp() }),
    unary("Large") { _, reply in reply.body = [UInt8](repeating: 5, count: largeReplyBytes) },
  ]
}

/// Waits again until it has been evaluated more often than the first byte of the request says; 255: waits in vain.
private func waitMethod(_ log: StreamLog) -> RPCMethod {
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
      if message.count > 1, asks > Int(message[1]) { throw RPCStatus(clientSide: .aborted, "enough") }
      let worker = request.worker
      return RPCWait(
        deadline: .now.advanced(by: message[0] == 255 ? .milliseconds(50) : .seconds(60)),
        expired: RPCStatus(clientSide: .unavailable, "in vain")
      ) { ready in
        log.note { $0.waits += 1 }
        return worker.schedule(after: message[0] == 255 ? .seconds(3600) : .milliseconds(1), ready)
      }
    })
}

private func stream(
  _ name: String,
  _ body: @escaping @Sendable (borrowing RPCRequest, any RPCStreamWriter) throws(RPCStatus) -> any RPCStreamHandler
) -> RPCMethod {
  RPCMethod(
    service: "test", name: name,
    handler: .serverStreaming { (request, writer, _) throws(RPCStatus) in try body(request, writer) })
}

private func streamMethods(_ log: StreamLog) -> [RPCMethod] {
  [
    stream("Count") { request, writer in
      ReplyStream(writer, log, count: Int(request.message[0]), size: Int(request.message[1]))
    },
    stream("Costly") { _, writer in
      let end = ProcessorTime.ofThisThread + 5_000_000
      while ProcessorTime.ofThisThread < end {}
      return ReplyStream(writer, log, count: 0, size: 0)
    },
    stream("Kept waiting") { _, writer in
      // The tests need a handler that takes time but no CPU time: they check how this wait is counted.
      usleep(5000)
      return ReplyStream(writer, log, count: 0, size: 0)
    },
    RPCMethod(
      service: "test", name: "Tell",
      handler: .serverStreaming { _, writer, _ in ReplyStream(writer, log, count: 0, size: 0) },
      openCallLimit: RPCOpenCallLimit(
        .healthWatchesPerConnection, 2, reason: .healthWatchesPerConnectionLimit)),
    stream("Hold") { _, writer in ReplyStream(writer, log, count: 0, size: 0) },
    stream("HoldUntilDrained") { _, writer in ReplyStream(writer, log, count: 0, size: 0, endsWhenDrained: true) },
    stream("Flood") { _, writer in ReplyStream(writer, log, count: .max, size: 16 * 1024) },
    stream("Careless") { _, writer in ReplyStream(writer, log, count: 100, size: 64 * 1024, isCareless: true) },
    stream("CarelessHold") { _, writer in
      ReplyStream(writer, log, count: 100, size: 64 * 1024, isCareless: true, endsItself: false)
    },
    stream("FinishThenThrow") { (_, writer) throws(RPCStatus) in
      writer.finish(RPCStatus(clientSide: .aborted, "first"), RPCMetadata())
      throw RPCStatus(clientSide: .internalError, "second")
    },
    stream("Refuse") { (_, _) throws(RPCStatus) in throw RPCStatus(clientSide: .permissionDenied, "not you") },
  ]
}

/// Sends back each message. It ends with the end of its requests, or after the message "end".
private func chatMethod(_ log: StreamLog) -> RPCMethod {
  RPCMethod(service: "test", name: "Chat", handler: .bidirectionalStreaming { _, writer in Chat(writer, log) })
}

private final class Chat: RPCRequestStreamHandler {
  private let writer: any RPCStreamWriter
  private let log: StreamLog

  init(_ writer: any RPCStreamWriter, _ log: StreamLog) {
    self.writer = writer
    self.log = log
    log.note { $0.opened += 1 }
  }

  func received(_ message: UnsafeRawBufferPointer) {
    var reply = RPCReply()
    reply.body = Array(message)
    writer.send(reply)
    if reply.body == Array("end".utf8) { writer.finish(RPCStatus(clientSide: .aborted, "as told"), RPCMetadata()) }
  }

  func requestsEnded() { writer.finish(.ok, RPCMetadata()) }
  func writable() {}
  func cancelled() { log.note { $0.cancelled += 1 } }
}
