// SPDX-License-Identifier: Apache-2.0
import CConfigLookupProto
import ConfigLookupClient
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import ProtobufMessages
import TestSupport
import Testing

/// The state that a client reports while its connection is lost.
@Suite struct ConnectionLossTests {
  /// The last notices of a draining server arrive on the connection's thread while the client leaves that connection on
  /// another one. They must not make the client report that it is ready.
  @Test func lateNoticesDoNotMakeALostConnectionReady() async throws {
    for _ in 0..<200 {
      let server = try ProgressServer()
      defer { server.stop() }
      let client = try ConfigLookupClient(ClientConfiguration(addresses: ["\(server.address)"]))
      defer { client.close() }
      try await client.ready(timeout: .seconds(120))
      let states = Locked<[ConfigLookupClient.State]>([])
      let watch = Task {
        for await state in client.states() {
          states.withLock { $0.append(state) }
        }
      }
      defer { watch.cancel() }
      server.drain()
      try poll("the client reports the loss") { client.state != .ready }
      try poll("the listener sees the loss") { states.withLock { $0.last } == .stale }
      // A notice that was being applied has been applied by now.
      server.stop()
      #expect(client.state == .stale)
      #expect(states.withLock { $0.last } == .stale)
    }
  }
}

/// A framed server whose watches send one PROGRESS after another, also while it drains.
private struct ProgressServer {
  private let group: EventLoopGroup
  private let server: ConnectionServer

  var address: HostAndPort { server.address.hostAndPort }

  init() throws {
    let router = RPCRouter([
      RPCMethod(
        service: "configlookup.v1.ConfigLookup", name: "WatchInvalidations",
        handler: .serverStreaming { request, writer, _ in ProgressStream(writer, request.worker) })
    ])
    group = try EventLoopGroup(count: 1)
    server = try ConnectionServer(
      endpoint: FramedEndpoint(router: router, group: group, limits: FramedLimits(), logger: .silent), group: group,
      configuration: ConnectionServer.Configuration(listen: HostAndPort(host: "127.0.0.1", port: 0)),
      logger: .silent, report: LimitReport())
  }

  func drain() { server.drain() }

  func stop() {
    server.stop()
    _ = server.waitUntilDrained(deadline: soon())
    group.stop()
  }
}

private final class ProgressStream: RPCStreamHandler {
  private let writer: any RPCStreamWriter
  private let worker: any RPCWorker
  private var revision: UInt64 = 1
  private var timer: (any RPCTimer)?

  init(_ writer: any RPCStreamWriter, _ worker: any RPCWorker) {
    self.writer = writer
    self.worker = worker
    sendNext()
  }

  private func sendNext() {
    send()
    timer = worker.schedule(after: .microseconds(100)) { [unowned self] in sendNext() }
  }

  private func send() {
    guard writer.isWritable else { return }
    revision += 1
    let arena = ProtobufArena()
    var reply = RPCReply()
    reply.body = withExtendedLifetime(arena) {
      ProtobufArena.pack(
        arena.make(configlookup__v1__invalidation_notice__init) {
          $0.kind = CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_PROGRESS
          $0.revision = revision
          $0.epoch = arena.bytes("epoch")
        })
    }
    writer.send(reply)
  }

  func writable() {}

  func cancelled() { timer?.cancel() }

  func draining() {
    timer?.cancel()
    for _ in 0..<20 { send() }
    writer.finish(RPCStatus(.draining, "draining"), RPCMetadata())
  }
}
