// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import Guarantees
internal import ServiceTestSupport
internal import TestSupport

/// A connection to one life of a server. Every lookup is validated. One thread.
final class JudgedClient {
  let server: BenchServer
  let life: String
  private let transport: Transport
  private let client: TestClient
  private let judge: Judge

  /// Connects. Throws if the server is not running.
  init(_ server: BenchServer, over transport: Transport, judge: Judge) throws {
    self.server = server
    self.transport = transport
    self.judge = judge
    life = server.life
    client = try TestClient(server.address, transport)
    client.printsValues = false
    // If the life is the same before and after, the connection is to it.
    guard !life.isEmpty, server.life == life else { throw TestFailure("server \(server.name) is not up") }
  }

  /// Looks up a key.
  ///
  /// - Parameters:
  ///   - minimum: the `min_revision`.
  ///   - known: a revision that the server is known to have observed.
  ///   - keeper: the name of the client that stores the answer.
  @discardableResult
  func look(
    _ key: CacheKey, minimum: Revision = .none, known: Revision = .none, keptBy keeper: String? = nil
  ) throws -> RPCStatus.Code {
    var lookup = Guarantees.Lookup("\(key)", of: life)
    lookup.minimumRevision = minimum
    lookup.knownRevision = known
    lookup.client = keeper
    let pending = judge.with { $0.validator.ask(lookup) }
    let options = TestClient.Options(minRevision: minimum.rawValue)
    let reply: ServiceTestSupport.LookupReply
    do {
      reply =
        switch (key.collection, key.selector) {
        case (.agents, _): try client.agent(key.identifier, options)
        case (.prompts, .promptID): try client.prompt(.promptID(key.identifier), key.variant, options)
        case (.prompts, _): try client.prompt(.agentID(key.identifier), key.variant, options)
        case (.sources, .container): try client.source(.container(key.identifier), options)
        case (.sources, .aiAgentID): try client.source(.aiAgentID(key.identifier), options)
        case (.sources, _): try client.source(.sourceID(key.identifier), options)
        }
    } catch is RPCClientError where server.isDraining {
      // The server has sent GOAWAY, while a watch may still receive notices.
      return .unavailable
    }
    // A server that is stopping rejects new calls.
    if reply.code == .unavailable, server.isDraining || server.life != life { return reply.code }
    judge.with { state in
      state.lookupCounts[transport, default: 0] += 1
      state.selectorCounts[key.selector, default: 0] += 1
      if minimum > .none {
        if reply.code == .unavailable { state.refusedCount += 1 } else { state.askedCount += 1 }
      }
      state.validator.answered(pending, seen(reply))
    }
    return reply.code
  }

  private func seen(_ reply: ServiceTestSupport.LookupReply) -> Guarantees.LookupReply {
    switch reply.code {
    case .ok:
      var seen = Guarantees.LookupReply(
        .found(
          label: StoredDocument.label(of: reply.content), etag: reply.etag, revision: Revision(reply.revision)))
      seen.observed = Revision(reply.observedRevision)
      seen.epoch = reply.epoch
      seen.ageMilliseconds = reply.ageMilliseconds
      seen.isStale = reply.isStale
      seen.others = reply.others
      return seen
    case .notFound:
      var seen = Guarantees.LookupReply(.notFound)
      seen.observed = Revision(reply.replyMetadata["configlookup-observed-revision"].flatMap { UInt64($0) } ?? 0)
      seen.epoch = reply.replyMetadata["configlookup-epoch"] ?? ""
      return seen
    default:
      return Guarantees.LookupReply(
        .refused(isUnavailable: reply.code == .unavailable, "\(reply.status)"))
    }
  }
}

extension CacheKey {
  fileprivate var variant: TestClient.Variant { isStaged ? .staged : .active }
}
