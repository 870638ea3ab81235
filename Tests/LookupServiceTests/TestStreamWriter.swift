// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

/// A notice as a subscriber decodes it.
struct SeenNotice: Equatable {
  enum Kind: UInt64 {
    case upsert = 1
    case delete, resync, progress
  }

  let kind: Kind
  let entity: UInt64
  let key: String
  let cacheKey: String
  let selector: String
  let revision: UInt64
  let itemID: String
  let epoch: String
  let reason: String
  let committedAtSeconds: UInt64
  let etag: String
  let previousETag: String
  /// The field number and the bytes of the value, if there is one.
  let value: (field: Int, bytes: [UInt8])?

  static func == (left: SeenNotice, right: SeenNotice) -> Bool {
    left.description == right.description
  }

  init(_ bytes: [UInt8]) throws {
    let message = try WireMessage(bytes)
    guard let kind = Kind(rawValue: message.number(1)) else { throw TestFailure("kind \(message.number(1))") }
    self.kind = kind
    entity = message.number(2)
    key = message.text(3)
    cacheKey = message.text(4)
    selector = message.text(15)
    revision = message.number(5)
    itemID = message.text(6)
    epoch = message.text(7)
    reason = message.text(8)
    committedAtSeconds = try message.message(9).number(1)
    etag = message.text(10)
    previousETag = message.text(11)
    value = (12...14).compactMap { field in message.bytes(field).map { (field, $0) } }.first
  }

  /// The notice as text, as `upsert prompt:a:staged` or `progress initial_state`.
  var short: String {
    switch kind {
    case .upsert, .delete: "\(kind) \(cacheKey)"
    case .resync, .progress: reason.isEmpty ? "\(kind)" : "\(kind) \(reason)"
    }
  }
}

extension SeenNotice: CustomStringConvertible {
  var description: String { "\(short) @\(revision) \(reason) \(etag)" }
}

/// The peer of a stream, which accepts as many messages as the test wants.
final class TestStreamWriter: RPCStreamWriter {
  private(set) var notices: [SeenNotice] = []
  private(set) var finish: RPCStatus?
  /// The number of messages that the peer still accepts.
  var room = Int.max
  /// Called after each message, within the send.
  var onSend: ((SeenNotice) -> Void)?
  var onFinish: (() -> Void)?

  var isWritable: Bool { room > 0 && finish == nil }

  func send(_ reply: borrowing RPCReply) {
    #expect(finish == nil, "a message after the end")
    if room != .max { room -= 1 }
    do {
      let notice = try SeenNotice(reply.head + reply.body)
      notices.append(notice)
      onSend?(notice)
    } catch {
      Issue.record(error, "a notice that cannot be read")
    }
  }

  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    #expect(finish == nil, "ended twice")
    finish = status
    onFinish?()
  }

  var shorts: [String] { notices.map(\.short) }

  /// Returns the notices since the previous call of this function.
  func takeShorts() -> [String] {
    defer { notices = [] }
    return shorts
  }
}
