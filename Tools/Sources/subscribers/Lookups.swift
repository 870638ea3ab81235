// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import FramedTransport
internal import ProtobufMessages
internal import TestSupport

/// Looks up agent configs, one after the other. One thread uses it.
final class Lookups {
  private let client: FramedClient
  private let arena = ProtobufArena()

  init(_ address: HostAndPort) throws {
    client = try FramedClient(address)
    // The server closes a connection that has not sent its first bytes in time.
    try client.ping(1, deadline: .now.advanced(by: .seconds(10)))
  }

  /// Looks up a key.
  ///
  /// - Returns: the revision of the answer, and the number of the change that its document contains.
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

  /// Looks up every key, and returns the revisions of those that changed.
  ///
  /// - Parameter first: the number of the first change that counts.
  /// - Returns: the revision of each key's answer; 0 if the last change of the key came before `first`.
  /// - Throws: `TestFailure` if an answer is not the last written state of its key.
  func revisions(_ collection: Collection, since first: Int) throws -> [UInt64] {
    try collection.written.enumerated().map { number, change in
      let answer = try answer(Collection.key(number))
      guard answer.change == change else {
        throw TestFailure("\(Collection.key(number)) answers change \(answer.change); the last was \(change)")
      }
      return change >= first ? answer.revision : 0
    }
  }

  /// Changes the fence after all other changes, and waits until the server answers the new state.
  @discardableResult
  func passFence(_ collection: Collection) throws -> Fence {
    let before = try answer(Collection.fence).revision
    let written = MonotonicTime.now
    try collection.changeFence()
    var revision = before
    try poll("the server has the last change", timeout: .seconds(60)) {
      revision = try answer(Collection.fence).revision
      return revision != before
    }
    return Fence(revision: revision, written: written, served: .now)
  }
}

/// A change after all others: its revision, the time when its write began, and the time of the first lookup that
/// returned it.
struct Fence {
  let revision: UInt64
  let written: MonotonicTime
  let served: MonotonicTime
}
