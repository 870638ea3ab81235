// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees

/// The revisions 1, 2, 3, and so on.
func at(_ number: UInt64) -> Revision { Revision(number) }

/// A validator with short functions for its inputs.
struct Story {
  var validator = Validator(ttlMilliseconds: 1000)
  private var since: [String: UInt64] = [:]

  /// Creates a story in which `key` has the given labels from the revisions 10, 20, 30 and so on; nil for no answer.
  init(_ key: String = "prompt:x", _ labels: String?..., warm: Bool = true) {
    for (index, label) in labels.enumerated() {
      if let label { since[label] = UInt64(index + 1) * 10 }
      validator.history.set(key, label.map { .label($0) } ?? .nothing, at: at(UInt64(index + 1) * 10))
    }
    validator.started("one", at: .none)
    if warm { validator.mayBeWarm("one") }
  }

  var broken: [Guarantee] { validator.violations.map(\.guarantee) }

  /// Performs a lookup. If `revision` is nil, the reply has the revision from which the label holds.
  mutating func lookUp(
    _ label: String?, _ key: String = "prompt:x", of server: String = "one", observed: UInt64 = 1,
    revision: UInt64? = nil, minimum: UInt64 = 0, client: String? = nil
  ) {
    var lookup = Lookup(key, of: server)
    lookup.minimumRevision = at(minimum)
    lookup.client = client
    let result = label.map {
      LookupReply.Result.found(label: $0, etag: "#\($0)", revision: at(revision ?? since[$0] ?? observed))
    }
    reply(to: lookup, result ?? .notFound, observed: observed)
  }

  mutating func reply(to lookup: Lookup, _ result: LookupReply.Result, observed: UInt64 = 1) {
    var reply = LookupReply(result)
    reply.observed = at(observed)
    reply.epoch = "e"
    validator.answered(validator.ask(lookup), reply)
  }

  mutating func watch(_ client: String = "c", of server: String = "one", start: UInt64? = nil, initial: Bool = false) {
    var request = WatchRequest(of: server)
    request.start = start.map(at)
    request.sendsInitialState = initial
    validator.opened(client, request)
  }

  mutating func progress(_ revision: UInt64, _ client: String = "c", reason: String = "") {
    notice(client, .progress, "", revision, reason: reason)
  }

  mutating func upsert(_ label: String, _ revision: UInt64, _ client: String = "c", key: String = "prompt:x") {
    notice(client, .upsert, key, revision, etag: "#\(label)", label: label, reason: "change_stream:update")
  }

  mutating func delete(_ revision: UInt64, _ client: String = "c", key: String = "prompt:x") {
    notice(client, .delete, key, revision, reason: "change_stream:delete")
  }

  mutating func notice(
    _ client: String, _ kind: SeenNotice.Kind, _ key: String, _ revision: UInt64, etag: String = "",
    label: String? = nil, reason: String = ""
  ) {
    var notice = SeenNotice(kind, at: at(revision))
    notice.key = key
    notice.etag = etag
    notice.label = label
    notice.epoch = "e"
    notice.reason = reason
    validator.noticed(client, notice)
  }
}
