internal import CConfigLookupProto
internal import Core
internal import FramedTransport
internal import Network
internal import ProtobufMessages
internal import RPC
internal import TestSupport

/// Looks up agent configs, one after the other.
final class Lookups {
  private let client: FramedClient
  private let arena = ProtobufArena()

  init(_ address: HostAndPort) throws {
    client = try FramedClient(address)
    // A connection that has said nothing for long is closed.
    try client.ping(1, deadline: .now.advanced(bySeconds: 10))
  }

  /// What a key answers: its revision, and the number of the change that its document carries.
  func answer(_ key: String) throws -> (revision: UInt64, change: Int) {
    let request = arena.make(configlookup__v1__get_agent_config_request__init) { $0.agent_id = arena.bytes(key) }
    let reply = try client.call("GetAgentConfig", ProtobufArena.pack(UnsafePointer(request)))
    defer { arena.reset() }
    guard reply.status.code == .ok else { throw TestFailure("\(key): \(reply.status)") }
    return try reply.payload.withUnsafeBytes { payload in
      let message = try arena.unpack(payload, by: configlookup__v1__get_agent_config_response__unpack, limit: .max)
      guard let metadata = message.pointee.metadata?.pointee, let config = message.pointee.config?.pointee,
        let change = Int(config.description.repairedText.prefix { $0 != " " })
      else { throw TestFailure("\(key): no answer of ours") }
      return (metadata.revision, change)
    }
  }

  /// The revision that each key answers, where a change since that one made it so; else 0. Throws where a key does not
  /// answer what was written last.
  func revisions(_ collection: Collection, since first: Int) throws -> [UInt64] {
    try collection.written.enumerated().map { number, change in
      let answer = try answer(Collection.key(number))
      guard answer.change == change else {
        throw TestFailure("\(Collection.key(number)) answers change \(answer.change); the last was \(change)")
      }
      return change >= first ? answer.revision : 0
    }
  }

  /// Changes the fence, after all else, and waits until the server answers it.
  @discardableResult
  func passFence(_ collection: Collection) throws -> Fence {
    let before = try answer(Collection.fence).revision
    let written = MonotonicTime.now
    try collection.changeFence()
    var revision = before
    try poll("the server has the last change", timeoutSeconds: 60) {
      revision = try answer(Collection.fence).revision
      return revision != before
    }
    return Fence(revision: revision, written: written, served: .now)
  }
}

/// A change that came after all others: its revision, and when it was begun to be written and was answered first.
struct Fence {
  let revision: UInt64
  let written: MonotonicTime
  let served: MonotonicTime
}
