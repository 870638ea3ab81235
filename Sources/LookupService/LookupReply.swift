internal import CConfigLookupProto
internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

/// What a lookup's options ask for, checked.
struct LookupOptions {
  var ifNoneMatch = UnsafeRawBufferPointer(start: nil, count: 0)
  var maximumStalenessMilliseconds: UInt64 = 0

  init(_ options: UnsafeMutablePointer<Configlookup__V1__LookupOptions>?) throws(RPCStatus) {
    guard let options = options?.pointee else { return }
    if options.min_revision != 0 {
      throw RPCStatus(.unimplemented, "options.min_revision: this server cannot wait for a revision yet")
    }
    ifNoneMatch = options.if_none_match.buffer
    maximumStalenessMilliseconds = UInt64(options.max_staleness_ms)
  }
}

extension LookupService {
  /// Lets a call through once every cache has been loaded.
  func admit(_ entity: ServedEntity) throws(RPCStatus) {
    guard isWarm else {
      throw RPCStatus(.unavailable, "the server is not warm yet: \(namesOfCold) still loading; try again")
    }
    if let limit = options.maximumStalenessSeconds {
      let age = caches[entity.rawValue].reader.ageMilliseconds
      if Double(age) > limit * 1000 {
        throw RPCStatus(.unavailable, "the contents were last confirmed \(age) ms ago, longer than the server allows")
      }
    }
  }

  private var namesOfCold: String {
    caches.filter { !$0.reader.isLoaded }.map(\.reader.entity).joined(separator: ", ")
  }

  /// The position that a reply with an error carries as metadata; none before there is one.
  func addPosition(_ entities: [ServedEntity], _ state: WorkerState, _ reply: inout RPCReply) {
    guard isWarm else { return }
    reply.metadata.append("configlookup-observed-revision", "\(state.lane.observedRevision(of: entities))")
    reply.metadata.append("configlookup-epoch", state.epoch(epoch))
  }

  /// Throws if the caller does not take contents as old as these.
  func checkStaleness(_ options: LookupOptions, _ entity: ServedEntity) throws(RPCStatus) {
    guard options.maximumStalenessMilliseconds > 0 else { return }
    let age = caches[entity.rawValue].reader.ageMilliseconds
    guard age > options.maximumStalenessMilliseconds else { return }
    throw RPCStatus(
      .unavailable,
      "options.max_staleness_ms: the contents were last confirmed \(age) ms ago, not within "
        + "\(options.maximumStalenessMilliseconds) ms")
  }

  /// Fills the reply of a lookup: `metadata` is field 2, the value field 1 and last, shared with every other reply.
  func fill(
    _ reply: inout RPCReply, _ answer: Answer, _ options: LookupOptions, _ entity: ServedEntity, _ state: WorkerState
  ) {
    let entry = answer.entry
    let isNotModified = !options.ifNoneMatch.isEmpty && entry.etagText.utf8.elementsEqual(options.ifNoneMatch)
    writeMetadata(entity, state, revision: answer.revision, etag: entry.etagText, isNotModified, to: &reply.head)
    guard !isNotModified else { return }
    ProtobufWriter.lengthPrefix(1, entry.bytes.count, to: &reply.head)
    reply.body = entry.bytes
  }

  /// `LookupMetadata`, as field `field` of a reply.
  func writeMetadata(
    field: UInt32 = 2, _ entity: ServedEntity, _ state: WorkerState, revision: Revision, etag: String,
    _ isNotModified: Bool, to out: inout [UInt8]
  ) {
    let reader = caches[entity.rawValue].reader
    let age = reader.ageMilliseconds
    let ttl = UInt64(reader.ttlSeconds * 1000)
    ProtobufWriter.message(field, to: &out) { out in
      ProtobufWriter.unsigned(1, revision.rawValue, to: &out)
      ProtobufWriter.string(2, etag, to: &out)
      ProtobufWriter.bool(3, isNotModified, to: &out)
      ProtobufWriter.bool(4, age > ttl, to: &out)
      ProtobufWriter.unsigned(5, age, to: &out)
      ProtobufWriter.unsigned(6, age > ttl ? 0 : (ttl - age) / 1000, to: &out)
      ProtobufWriter.unsigned(7, reader.observedRevision.rawValue, to: &out)
      ProtobufWriter.string(8, state.epoch(epoch), to: &out)
    }
  }

  /// Unpacks a request into the worker's arena, which it empties first.
  func unpack<Message>(
    _ request: borrowing RPCRequest, _ state: WorkerState,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
  ) throws(RPCStatus) -> UnsafePointer<Message> {
    state.arena.reset()
    do throws(ProtobufError) {
      return try state.arena.unpack(request.message, by: unpack)
    } catch {
      throw RPCStatus(.invalidArgument, "the request \(error)")
    }
  }
}
