// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The framed protocol and gRPC at the same time, on one port of one server.
@Suite struct BothProtocolsTests {
  /// Every change is announced and answered alike over both protocols, step by step.
  @Test func bothHearAndAnswerTheSame() throws {
    try withDeployment { test in
      let server = try test.server()
      let watches = try Transport.allCases.map {
        try Watch.open(server.address, .init(includesValues: true), over: $0)
      }
      let clients = try Transport.allCases.map { try TestClient(server.address, $0) }
      var writer = BothProtocolsWriter(test, SeededRandom.fresh("both protocols"))
      for _ in 0..<60 {
        try writer.write()
        // A prompt is announced by agent_id and by prompt_id: the second notice can arrive together with that of the
        // next write.
        let heard = try watches.map { watch in
          var notice = try watch.nextChange()
          while notice.selector == "prompt_id" { notice = try watch.nextChange() }
          return notice
        }
        #expect(heard[0] == heard[1])
        let answers = try clients.map { try Answer(heard[0], $0) }
        #expect(answers[0] == answers[1])
        #expect(answers[0].revision >= heard[0].revision || answers[0].code == .notFound)
      }
      let status = try clients.map { try $0.status() }
      #expect(status[0].caches.map(\.size) == status[1].caches.map(\.size))
      let lists = try clients.map { try $0.listAgents(2) }
      #expect(lists[0].rows == lists[1].rows && lists[0].nextToken == lists[1].nextToken)
    }
  }

  /// An error has the same code, message and details over both protocols. `InteropTests` compares their bytes.
  @Test func bothGiveTheSameErrors() throws {
    let bad = WireMessage()
    let epoch = WireMessage().with(2, 1).with(3, "another")
    let calls: [(method: String, request: WireMessage, reason: ErrorReason)] = [
      ("GetAgentConfig", bad, .invalidField), ("GetAgentConfig", bad.with(1, "nobody"), .keyNotFound),
      ("GetAgentConfig", bad.with(1, [0xc3, 0x28]), .invalidField), ("GetAgentConfig", bad.with(1, 7), .invalidRequest),
      ("GetAgentConfig", bad.with(1, "a").with(2, epoch), .epochMismatch),
      ("GetAgentConfig", bad.with(1, "a").with(2, WireMessage().with(2, UInt64.max >> 1)), .minRevisionInFuture),
      ("GetPrompt", bad, .selectorMissing), ("GetSourceConfig", bad, .selectorMissing),
      ("ResolveBlob", bad.with(1, "c").with(2, String(repeating: "p", count: 4096)), .keyNotFound),
      ("ListPrompts", bad.with(2, "token"), .invalidPageToken), ("Nothing", bad, .unknownMethod),
      ("WatchInvalidations", bad.with(2, ""), .invalidField),
      ("WatchInvalidations", bad.with(9, "weather"), .unknownSelector),
    ]
    try withDeployment { test in
      let server = try test.server()
      let clients = try Transport.allCases.map { try TestClient(server.address, $0).rpc }
      for (method, request, reason) in calls {
        let isStream = method == "WatchInvalidations"
        let statuses = try clients.map { client in
          let call = try client.open(RPCOutgoingCall(method, request.encoded, isStream: isStream))
          return try client.nextReply(call, deadline: soon()).status
        }
        #expect(statuses.allSatisfy { $0.reason == reason && $0.code == reason.code }, "\(method): \(statuses)")
        #expect(statuses[0].details == statuses[1].details)
        #expect(statuses[0].message == statuses[1].message || method == "Nothing")
      }
    }
  }

  /// While documents change as fast as possible, a client that received a notice finds the announced state or a later
  /// one over either protocol; in the end both protocols have delivered the same state.
  @Test func bothAreTrueWhileDocumentsChange() throws {
    try withDeployment { test in
      let server = try test.server()
      let followers = try Transport.allCases.map { try BothProtocolsFollower(server, $0) }
      var writer = BothProtocolsWriter(test, SeededRandom.fresh("both protocols at once"))
      for _ in 0..<300 { try writer.write() }
      // Each collection has a change stream of its own.
      try test.agents.insert(Documents.agent(BothProtocolsFollower.fence))
      try test.prompts.insert(Documents.prompt(BothProtocolsFollower.fence))
      try test.sources.insert(Documents.source(BothProtocolsFollower.fence))
      let heard = try followers.map { try $0.finish() }
      #expect(heard[0] == heard[1])
      for transport in Transport.allCases {
        let client = try TestClient(server.address, transport)
        for notice in heard[0].values {
          let answer = try Answer(notice, client)
          #expect((answer.code == .notFound) == (notice.kind == .delete), "\(notice)")
          if notice.kind == .upsert { #expect(answer.etag == notice.etag && answer.revision == notice.revision) }
        }
      }
    }
  }
}

/// Changes one document after the other, so that each change is one notice.
private struct BothProtocolsWriter {
  private let test: Deployment
  private var random: SeededRandom
  private var count = 0
  private var existing: Set<String> = []

  init(_ test: Deployment, _ random: SeededRandom) {
    self.test = test
    self.random = random
  }

  mutating func write() throws {
    count += 1
    let (key, text) = ("k\(random.below(6))", "text \(count)")
    let kind = random.below(3)
    let (writer, document, id, field) =
      switch kind {
      case 0: (test.agents, try Documents.agent(key, description: text), "\(key):1.0.0", "description")
      case 1: (test.prompts, try Documents.prompt(key, template: text), "\(key)-prompt:1.0.0", "content.template")
      default: (test.sources, try Documents.source(key, description: text), key, "description")
      }
    let name = "\(kind) \(id)"
    guard existing.contains(name) else {
      existing.insert(name)
      return try writer.insert(document)
    }
    switch random.below(4) {
    case 0:
      existing.remove(name)
      try writer.delete(Documents.selector(id))
    case 1: try writer.replace(Documents.selector(id), with: document)
    default: try writer.update(Documents.selector(id), Documents.set(field, text))
    }
  }

}

/// The answer of a key, without the fields that depend on the time.
private struct Answer: Equatable {
  let code: RPCStatus.Code
  let message: String
  let text: String
  let revision: UInt64
  let etag: String
  let epoch: String

  /// The answer of the key of a notice.
  init(_ notice: WatchNotice, _ client: TestClient) throws {
    let reply =
      switch notice.entity {
      case 1: try client.agent(notice.key)
      case 2: try client.prompt(notice.selector == "prompt_id" ? .promptID(notice.key) : .agentID(notice.key))
      default: try client.source(.sourceID(notice.key))
      }
    code = reply.code
    message = reply.status.message
    text = reply.text
    revision = reply.revision
    etag = reply.etag
    epoch = reply.code == .ok ? reply.epoch : reply.replyMetadata["configlookup-epoch"] ?? ""
  }
}

/// Follows all changes over one protocol, and looks up the announced keys over the other.
private final class BothProtocolsFollower: Sendable {
  /// The key that is changed last, in each collection.
  static let fence = "fence"

  /// The last notice of each key.
  private let heard = Locked<[String: WatchNotice]>([:])
  private let thread: Handed<Background>

  init(_ server: RunningServer, _ transport: Transport) throws {
    let watch = Handed(try Watch.open(server.address, .init(includesValues: true), over: transport))
    let client = Handed(try TestClient(server.address, transport == .frames ? .gRPC : .frames))
    let heard = heard
    thread = Handed(
      Background("follower over \(transport)") {
        let (watch, client) = (try watch.take(), try client.take())
        var fences = 0
        while fences < 4 {
          let notice = try watch.nextChange()
          let answer = try Answer(notice, client)
          guard answer.code == .notFound || answer.revision >= notice.revision else {
            throw TestFailure("over \(transport): \(notice), and over the other then: \(answer)")
          }
          heard.withLock { $0[notice.cacheKey] = notice }
          // A prompt is announced by agent_id and by prompt_id.
          if notice.key.hasPrefix(Self.fence) { fences += 1 }
        }
      })
  }

  /// Waits for the notices of the fences.
  func finish() throws -> [String: WatchNotice] {
    try thread.take().finish()
    return heard.withLock { $0 }
  }
}
