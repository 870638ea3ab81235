internal import RPC
internal import TestSupport
internal import Testing

/// A notice as a subscriber reads it.
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
  /// The value's field and bytes, where one came along.
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

  /// `upsert prompt:a:staged`, `progress initial_state`
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

/// The peer of a stream, as slow as the test wants it.
final class TestStreamWriter: RPCStreamWriter {
  private(set) var notices: [SeenNotice] = []
  private(set) var finish: RPCStatus?
  /// How many messages the peer still takes.
  var room = Int.max
  /// Called after each message, from within the send.
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

  /// What has come since it was last asked for.
  func takeShorts() -> [String] {
    defer { notices = [] }
    return shorts
  }
}
