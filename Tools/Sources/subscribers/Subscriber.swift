// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import FramedTransport
internal import Glibc
internal import ProtobufMessages
internal import TestSupport

/// A `WatchInvalidations` of agent configs on a connection of its own, and the notices that it has received.
///
/// It reads only in `read`. protobuf-c decodes the frames, instead of the decoder that the server itself uses.
final class Subscriber: @unchecked Sendable {
  // Safe to share: one thread at a time uses it, the reading thread of its `Crowd` or, after that thread has ended, the
  // thread that created it.
  let descriptor: Int32
  private var rest: [UInt8] = []
  /// The revision of the last notice of each key.
  private(set) var revisions: [UInt64]
  /// The revision of the last received change of the fence, or of a RESYNC that may replace it; and the time of its
  /// arrival.
  private(set) var fenceRevision: UInt64 = 0
  private(set) var fenceTime = MonotonicTime(nanoseconds: 0)
  private(set) var noticeCount = 0
  private(set) var isReady = false
  private(set) var resyncs: [UInt64] = []
  /// The reason why the subscriber has stopped reading: a violation of the protocol or of a guarantee, or the end of
  /// the connection.
  private(set) var problem: String?

  /// Connects and sends the request of the watch.
  init(_ address: HostAndPort, keyCount: Int, includesValues: Bool = false) throws {
    descriptor = try connectSocket(to: address, deadline: .now.advanced(by: .seconds(10)))
    revisions = Array(repeating: 0, count: keyCount)
    let arena = ProtobufArena()
    let request = arena.make(configlookup__v1__watch_invalidations_request__init) {
      $0.n_entities = 1
      $0.entities = arena.values([CONFIGLOOKUP__V1__ENTITY__ENTITY_AGENT_CONFIG])
      $0.include_values = includesValues ? 1 : 0
    }
    let call = FramedClient.encodeCall(id: 1, "WatchInvalidations", ProtobufArena.pack(UnsafePointer(request)))
    guard send(descriptor, call, call.count, Int32(MSG_NOSIGNAL)) == call.count else {
      throw TestFailure("a watch could not be opened: \(String(cString: strerror(errno)))")
    }
  }

  deinit { close(descriptor) }

  /// Whether the socket has bytes to read. This does not read them.
  var hasInput: Bool {
    var count: Int32 = 0
    return ioctl(descriptor, UInt(FIONREAD), &count) == 0 && count > 0
  }

  /// Reads once from the socket, without waiting. Returns false if there were no bytes, or if the connection has ended.
  func read(_ memory: UnsafeMutableRawBufferPointer, _ arena: ProtobufArena) -> Bool {
    guard problem == nil else { return false }
    let count = Glibc.read(descriptor, memory.baseAddress, memory.count)
    if count < 0, errno == EAGAIN || errno == EINTR { return false }
    guard count > 0 else {
      problem = count == 0 ? "the server closed the connection" : String(cString: strerror(errno))
      return false
    }
    let bytes = UnsafeRawBufferPointer(rebasing: memory[..<count])
    do {
      if rest.isEmpty {
        rest = Array(bytes[try take(bytes, arena)...])
      } else {
        rest += bytes
        rest.removeFirst(try rest.withUnsafeBytes { try take($0, arena) })
      }
    } catch {
      problem = "\(error)"
    }
    return true
  }

  /// Decodes the complete frames at the start of the bytes, and returns their length in bytes.
  private func take(_ bytes: UnsafeRawBufferPointer, _ arena: ProtobufArena) throws -> Int {
    var start = 0
    while bytes.count - start >= 4 {
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
      guard bytes.count - start - 4 >= length else { break }
      let frame = try arena.unpack(
        UnsafeRawBufferPointer(rebasing: bytes[(start + 4)..<(start + 4 + length)]),
        by: configlookup__frame__v1__frame__unpack, limit: .max)
      guard frame.pointee.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_REPLY,
        let reply = frame.pointee.reply?.pointee, reply.status == 0, reply.more != 0
      else { throw TestFailure("a frame that is no notice: the watch has ended") }
      note(
        try arena.unpack(reply.payload.buffer, by: configlookup__v1__invalidation_notice__unpack, limit: .max).pointee)
      arena.reset()
      start += 4 + length
    }
    return start
  }

  private func note(_ notice: Configlookup__V1__InvalidationNotice) {
    switch notice.kind {
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_PROGRESS: isReady = true
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_RESYNC:
      resyncs.append(notice.revision)
      noteFence(notice.revision)
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT:
      noticeCount += 1
      let key = notice.key.buffer
      if key.elementsEqual(Collection.fence.utf8) {
        noteFence(notice.revision)
      } else if let number = Self.number(key), revisions.indices.contains(number) {
        if notice.revision <= revisions[number] { problem = "\(Collection.key(number)) went back" }
        revisions[number] = notice.revision
      } else {
        problem = "a key that nobody wrote: \(notice.key.repairedText)"
      }
    default: problem = "a notice of kind \(notice.kind.rawValue)"
    }
  }

  private func noteFence(_ revision: UInt64) {
    fenceRevision = revision
    fenceTime = .now
  }

  /// The number in a key: 123 for `key-123`.
  private static func number(_ key: UnsafeRawBufferPointer) -> Int? {
    guard let dash = key.firstIndex(of: UInt8(ascii: "-")) else { return nil }
    var number = 0
    for digit in key[(dash + 1)...] {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), number < 1_000_000_000 else { return nil }
      number = number * 10 + Int(digit - UInt8(ascii: "0"))
    }
    return number
  }

  /// The number of keys whose last state it has not received, and which no RESYNC covers.
  func missed(_ answers: [UInt64]) -> Int {
    precondition(answers.count == revisions.count, "of other keys")
    let dropped = resyncs.max() ?? 0
    return zip(revisions, answers).count { $0 != $1 && $1 > dropped }
  }
}
