// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Guarantees

/// A client with a near cache and a watch, whose speed is configurable.
final class Subscriber: RPCStreamWriter {
  let name: String
  /// Is called for each notice, during the send.
  private let onNotice: (Subscriber, SeenNotice) -> Void
  /// The number of messages that the peer still accepts.
  var room = Int.max
  private(set) var isFinished = true
  private(set) var server: SimulatedServer?
  private var handler: (any RPCStreamHandler)?
  /// The number of announced keys and RESYNCs since the watch was opened, or since messages were last taken from it.
  private(set) var changes = 0
  private(set) var resyncs = 0
  /// Whether the watch had sent everything. What waits now was added afterwards.
  private(set) var isCaughtUp = false
  private(set) var epoch = ""
  /// The position of another watch at which this one began; nil if it began at the current revision.
  private(set) var start: Revision?

  init(_ name: String, _ onNotice: @escaping (Subscriber, SeenNotice) -> Void) {
    self.name = name
    self.onNotice = onNotice
  }

  /// Opens a watch. Returns false if it was rejected.
  func open(_ server: SimulatedServer, _ request: Wire, start: Revision?) -> Bool {
    self.server = server
    self.start = start
    isFinished = false
    (changes, resyncs, isCaughtUp) = (0, 0, false)
    handler = server.watch(request, self)
    guard handler != nil else {
      isFinished = true
      return false
    }
    server.worker.runJobs()
    isCaughtUp = isWritable
    return true
  }

  /// Lets the peer accept more messages. Returns whether it had then received all of them.
  func take(_ count: Int) {
    (changes, resyncs) = (0, 0)
    room = count
    if isWritable, !isFinished { handler?.writable() }
    // What exceeds one iteration is sent in the following ones.
    server?.worker.runJobs()
    isCaughtUp = isCaughtUp || isWritable
  }

  func drain() {
    if !isFinished { handler?.draining() }
  }

  func cancel() {
    if !isFinished { handler?.cancelled() }
    isFinished = true
    handler = nil
  }

  // MARK: RPCStreamWriter

  var isWritable: Bool { room > 0 && !isFinished }

  func send(_ reply: borrowing RPCReply) {
    guard !isFinished else { return }
    if room != .max { room -= 1 }
    let message = Wire((reply.head + reply.body)[...])
    let kinds: [SeenNotice.Kind] = [.upsert, .delete, .resync, .progress]
    let kind = Int(message.number(1))
    guard (1...4).contains(kind) else { preconditionFailure("a notice of kind \(kind)") }
    var notice = SeenNotice(kinds[kind - 1], at: Revision(message.number(5)))
    switch notice.kind {
    case .upsert, .delete:
      notice.key = message.text(4)
      notice.selector = (message.text(15), message.text(3))
      changes += 1
    case .resync:
      let entity = Int(message.number(2))
      notice.key = entity == 0 ? "" : Collection.allCases[entity - 1].entity
      resyncs += 1
    case .progress: break
    }
    notice.epoch = message.text(7)
    notice.reason = message.text(8)
    notice.etag = message.text(10)
    notice.previousETag = message.text(11)
    notice.label = (12...14).compactMap { message.bytes($0) }.first.map { SimulatedServer.label(Wire($0), notice.key) }
    epoch = notice.epoch
    onNotice(self, notice)
  }

  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    isFinished = true
    handler = nil
  }
}
