// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import GRPCServices

@Suite struct ReflectionServiceTests {
  private static let versions = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
  private let peer = StreamPeer()

  // MARK: Questions

  @Test(arguments: versions) func servicesAreListed(version: String) throws {
    let reply = try ask(WireMessage().with(7, ""), version: version)
    let services = try reply.message(6).messages(1).map { $0.text(1) }
    #expect(services == ["a.B", "c.D"] + Self.versions)
  }

  @Test func aReplyRepeatsHostAndRequest() throws {
    let request = WireMessage().with(1, "example.org").with(7, "*").with(99, "unknown")
    let reply = try ask(request)
    #expect(reply.text(1) == "example.org")
    #expect(try reply.message(2) == request)
  }

  @Test func aFileComesFirstAndWithAllThatItImports() throws {
    let names = try files(WireMessage().with(3, "configlookup/v1/config_lookup.proto"))
    #expect(names.first == "configlookup/v1/config_lookup.proto")
    #expect(
      names.sorted() == [
        "configlookup/v1/agent_config.proto", "configlookup/v1/common.proto", "configlookup/v1/config_lookup.proto",
        "configlookup/v1/prompt.proto", "configlookup/v1/source_config.proto", "google/protobuf/timestamp.proto",
      ])
    #expect(
      try files(WireMessage().with(3, "google/protobuf/timestamp.proto")) == ["google/protobuf/timestamp.proto"])
  }

  @Test(arguments: [
    ("configlookup.v1.ConfigLookup", "configlookup/v1/config_lookup.proto"),
    ("configlookup.v1.ConfigLookup.GetPrompt", "configlookup/v1/config_lookup.proto"),
    ("configlookup.v1.ConfigLookupAdmin", "configlookup/v1/config_lookup_admin.proto"),
    ("configlookup.v1.InvalidationNotice", "configlookup/v1/config_lookup.proto"),
    ("configlookup.v1.InvalidationNotice.value", "configlookup/v1/config_lookup.proto"),
    ("configlookup.v1.LookupOptions.min_revision", "configlookup/v1/common.proto"),
    ("configlookup.v1.Entity", "configlookup/v1/common.proto"),
    ("configlookup.v1.ENTITY_PROMPT", "configlookup/v1/common.proto"),
    ("configlookup.v1.Entity.ENTITY_PROMPT", "configlookup/v1/common.proto"),
    ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
    ("grpc.health.v1.Health.Watch", "grpc/health/v1/health.proto"),
    ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
    ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
    ("grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"),
  ])
  func aSymbolIsFoundInItsFile(symbol: String, file: String) throws {
    #expect(try files(WireMessage().with(4, symbol)).first == file)
  }

  /// The reply describes the service as in proto/, not the modified files from which the C is generated.
  @Test func textIsAString() throws {
    let reply = try ask(WireMessage().with(4, "configlookup.v1.ResolveBlobResponse"))
    let file = try #require(reply.message(4).messages(1).first)
    let message = try #require(file.messages(4).first { $0.text(1) == "ResolveBlobResponse" })
    let map = try #require(message.messages(3).first { $0.text(1) == "FieldsEntry" })
    #expect(try map.messages(2).map { $0.number(5) } == [9, 9])
  }

  @Test(arguments: [
    WireMessage().with(3, "configlookup/v1/nothing.proto"), WireMessage().with(4, "configlookup.v1.Nothing"),
    WireMessage().with(4, ""), WireMessage().with(4, "configlookup.v1"),
    WireMessage().with(5, WireMessage().with(1, "configlookup.v1.Prompt").with(2, 7)),
    WireMessage().with(6, "configlookup.v1.Nothing"),
  ])
  func whatIsNotThereIsNotFoundAndTheStreamGoesOn(request: WireMessage) throws {
    let handler = try open()
    for _ in 0..<2 {
      send(request, to: handler)
      let error = try #require(peer.take().first).message(7)
      #expect(error.number(1) == 5)
      #expect(error.text(2).hasPrefix("no "))
      #expect(peer.finish == nil)
    }
  }

  @Test func noMessageHasExtensions() throws {
    let reply = try ask(WireMessage().with(6, "configlookup.v1.Prompt")).message(5)
    #expect(reply.text(1) == "configlookup.v1.Prompt")
    #expect(reply.fields.count == 1)
  }

  @Test func nothingAskedIsAnError() throws {
    #expect(try ask(WireMessage()).message(7).number(1) == 3)
    #expect(try ask(WireMessage().with(8, "of the future")).message(7).number(1) == 3)
  }

  /// Of the members of a oneof the last one counts.
  @Test func theLastQuestionCounts() throws {
    let reply = try ask(WireMessage().with(7, "").with(4, "configlookup.v1.Prompt"))
    #expect(try reply.message(4).messages(1).first?.text(1) == "configlookup/v1/prompt.proto")
  }

  // MARK: The stream

  @Test func theStreamsOfAConnectionHaveALimit() {
    for method in ReflectionService(services: []).methods(streamsPerConnection: 4) {
      #expect(
        method.openCallLimit?.name == .reflectionStreams && method.openCallLimit?.reason == .reflectionStreamsLimit)
    }
  }

  @Test func theStreamEndsWhenTheRequestsDo() throws {
    let handler = try open()
    send(WireMessage().with(7, ""), to: handler)
    #expect(peer.finish == nil)
    handler.requestsEnded()
    #expect(peer.messages.count == 1)
    #expect(peer.finish == .ok)
  }

  @Test(
    arguments: [[0xFF], [0x18, 0x01], [0x2A, 0x03, 0x10], [0x22, 0x01, 0xC0], [0x2A, 0x02, 0x12, 0x00]] as [[UInt8]])
  func whatIsNoRequestEndsTheStream(bytes: [UInt8]) throws {
    let handler = try open()
    bytes.withUnsafeBytes { handler.received($0) }
    #expect(peer.finish?.reason == .invalidRequest)
    // Later requests are ignored.
    send(WireMessage().with(7, ""), to: handler)
    handler.requestsEnded()
    handler.writable()
    #expect(peer.messages.isEmpty)
  }

  @Test func aRequestThatIsTooLongEndsTheStream() throws {
    let handler = try open()
    send(WireMessage().with(3, String(repeating: "a", count: 5000)), to: handler)
    #expect(peer.finish?.reason == .invalidRequest)
  }

  @Test func questionsWaitForAPeerThatDoesNotRead() throws {
    let handler = try open()
    peer.room = 1
    for index in 0..<10 { send(WireMessage().with(1, "\(index)").with(7, ""), to: handler) }
    handler.requestsEnded()
    #expect(peer.messages.count == 1)
    peer.room = 3
    handler.writable()
    #expect(peer.messages.count == 4)
    #expect(peer.finish == nil)
    peer.room = .max
    handler.writable()
    #expect(peer.messages.map { $0.text(1) } == (0..<10).map(String.init))
    #expect(peer.finish == .ok)
  }

  @Test func aPeerThatAsksAndNeverReadsIsCutOff() throws {
    let handler = try open()
    peer.room = 0
    for _ in 0..<GRPCServiceLimits.waitingReflectionRequests { send(WireMessage().with(7, ""), to: handler) }
    #expect(peer.finish == nil)
    send(WireMessage().with(7, ""), to: handler)
    #expect(peer.finish?.reason == .repliesNotRead)
    #expect(peer.messages.isEmpty)
  }

  @Test func drainingAnswersWhatWaitsFirst() throws {
    let handler = try open()
    peer.room = 0
    send(WireMessage().with(7, ""), to: handler)
    handler.draining()
    #expect(peer.finish == nil)
    peer.room = 9
    handler.writable()
    #expect(peer.messages.count == 1)
    #expect(peer.finish?.reason == .draining)
  }

  /// The writer calls the stream during a send.
  @Test func aStreamThatIsCancelledWhileItIsWrittenToSaysNoMore() throws {
    let handler = try open()
    peer.room = 0
    for _ in 0..<3 { send(WireMessage().with(7, ""), to: handler) }
    peer.onSend = { handler.cancelled() }
    peer.room = 9
    handler.writable()
    handler.requestsEnded()
    #expect(peer.messages.count == 1)
    #expect(peer.finish == nil)
  }

  // MARK: What it holds

  /// The replies about a file share its bytes, which follow the part that repeats the request, and have no copy of
  /// them.
  @Test func descriptorsAreShared() throws {
    let recorder = ReplyRecorder()
    let handler = try open(recorder)
    for name in ["a", "b"] {
      send(WireMessage().with(1, name).with(4, "configlookup.v1.Prompt"), to: handler)
    }
    let addresses = recorder.replies.map { reply in reply.body.withUnsafeBytes { $0.baseAddress } }
    #expect(addresses.count == 2 && addresses[0] == addresses[1])
    #expect(recorder.replies.allSatisfy { $0.head.capacity < 2048 && $0.body.count > 1000 })
    handler.cancelled()
  }

  /// If the server has credentials, only callers with a valid one are answered.
  @Test func withCredentialsOnlyCallersAreAnswered() throws {
    let access = OneToken()
    let peer = NobodysPeer()
    let identities = RPCIdentities(access, peer)
    let failure = #expect(throws: RPCStatus.self) { try open(self.peer, identity: identities[nil]) }
    #expect(failure?.reason == .credentialsMissing)
    let identity = Array("Bearer good".utf8).withUnsafeBytes { identities[$0] }
    let handler = try open(self.peer, identity: identity)
    send(WireMessage().with(7, ""), to: handler)
    #expect(self.peer.take().count == 1)
    // The stream ends when the credential has been revoked.
    access.isRevoked.withLock { $0 = true }
    send(WireMessage().with(7, ""), to: handler)
    #expect(self.peer.finish?.reason == .credentialsInvalid)
  }

  // MARK: Calls

  private func open(
    _ writer: (any RPCStreamWriter)? = nil, version: String = versions[0], identity: RPCIdentity? = nil
  ) throws -> any RPCRequestStreamHandler {
    let service = ReflectionService(services: ["c.D", "a.B"])
    let method = try #require(service.methods(streamsPerConnection: 4).first { $0.service == version })
    guard case .bidirectionalStreaming(let handler) = method.handler else { throw TestFailure("no stream") }
    return try [].withUnsafeBytes { bytes in
      try handler(
        RPCRequest(
          message: bytes, metadata: RPCMetadata(), deadline: nil, worker: TestWorker(), identity: identity),
        writer ?? peer)
    }
  }

  private func send(_ request: WireMessage, to handler: any RPCRequestStreamHandler) {
    request.encoded.withUnsafeBytes { handler.received($0) }
  }

  private func ask(_ request: WireMessage, version: String = versions[0]) throws -> WireMessage {
    let handler = try open(version: version)
    send(request, to: handler)
    handler.cancelled()
    return try #require(peer.take().first)
  }

  /// The names of the files in the reply.
  private func files(_ request: WireMessage) throws -> [String] {
    try ask(request).message(4).messages(1).map { $0.text(1) }
  }
}

/// A writer that keeps the replies unchanged.
private final class ReplyRecorder: RPCStreamWriter {
  private(set) var replies: [RPCReply] = []
  var isWritable: Bool { true }

  func send(_ reply: borrowing RPCReply) { replies.append(copy reply) }
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {}
}

/// Accepts one token until it is revoked.
private final class OneToken: RPCAccess {
  let isRevoked = Locked(false)
  var generation: Int { isRevoked.withLock { $0 ? 2 : 1 } }

  func caller(authorization: [UInt8]?, certificateNames: [String]) throws(RPCRefusal) -> RPCCaller {
    guard let authorization else { throw .missing }
    guard authorization == Array("Bearer good".utf8), !isRevoked.withLock({ $0 }) else { throw .unknownToken }
    return RPCCaller(name: "somebody", permissions: [])
  }

  func refused(_ refusal: RPCRefusal, _ caller: String?, _ right: RPCPermission?, peer: String) {}
}

private final class NobodysPeer: RPCPeer {
  let address = "test"
  let certificateNames: [String] = []
}
