// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

/// The options of a lookup request.
struct LookupOptions {
  var ifNoneMatch = UnsafeRawBufferPointer(start: nil, count: 0)
  var maximumStalenessMilliseconds: UInt64 = 0
  var minimumRevision = Revision.none
  var epoch = UnsafeRawBufferPointer(start: nil, count: 0)

  init(_ options: UnsafeMutablePointer<Configlookup__V1__LookupOptions>?) {
    guard let options = options?.pointee else { return }
    minimumRevision = Revision(options.min_revision)
    epoch = options.epoch.buffer
    ifNoneMatch = options.if_none_match.buffer
    maximumStalenessMilliseconds = UInt64(options.max_staleness_ms)
  }
}

/// A cache as of the moment before a call reads an answer from it: the answer is at least as new.
struct CacheView {
  let entity: ServedEntity
  let reader: CacheReader
  let observed: Revision
  let ageMilliseconds: UInt64
  /// Whether the database member that verified the contents has lost contact with the majority.
  let isBehind: Bool
  /// Whether the contents were verified within the TTL, by a database member that has contact with the majority.
  let isValid: Bool

  init(_ entity: ServedEntity, _ reader: CacheReader) {
    self.entity = entity
    self.reader = reader
    observed = reader.observedRevision
    ageMilliseconds = reader.ageMilliseconds
    isBehind = reader.isBehindMajority
    isValid = ageMilliseconds <= reader.ttlMilliseconds && !isBehind
  }
}

extension LookupService {
  /// Throws UNAVAILABLE until every cache has been loaded.
  func requireWarm() throws(RPCStatus) {
    guard !isWarm else { return }
    let cold = caches.filter { !$0.reader.isLoaded }.map(\.reader.entity).joined(separator: ", ")
    throw RPCStatus(
      .notReady, "the server is not ready: \(cold) still loading; try again", retryDelay: .seconds(1))
  }

  /// Throws UNAVAILABLE if the contents are older than the server may serve.
  func requireFresh(_ view: CacheView) throws(RPCStatus) {
    guard view.ageMilliseconds > options.maximumStalenessMilliseconds else { return }
    throw RPCStatus(
      .serverTooStale,
      "the contents were last verified \(view.ageMilliseconds) ms ago, longer ago than the server allows")
  }

  /// Throws UNAVAILABLE if the contents are older than the caller accepts.
  func requireFresh(_ view: CacheView, _ options: LookupOptions) throws(RPCStatus) {
    let limit = options.maximumStalenessMilliseconds
    guard limit > 0, view.ageMilliseconds > limit else { return }
    throw RPCStatus(
      .maxStalenessExceeded,
      "options.max_staleness_ms: the contents were last verified \(view.ageMilliseconds) ms ago, "
        + "not within \(limit) ms"
    )
  }

  /// Adds the observed revision and the epoch to an error reply, as metadata.
  func addPosition(_ view: CacheView, _ state: WorkerState, _ reply: inout RPCReply) {
    reply.metadata.append("configlookup-observed-revision", "\(view.observed)")
    reply.metadata.append("configlookup-epoch", state.epoch)
  }

  /// Fills the reply of a lookup: `metadata` is field 2; the value is field 1 and comes last, in memory that all
  /// replies share.
  ///
  /// The value is that of `answer`, or of `member` if it is not nil.
  func fill(
    _ reply: inout RPCReply, _ answer: CachedAnswer, member: Entry? = nil, _ options: LookupOptions, _ view: CacheView,
    _ state: WorkerState
  ) {
    withUnsafeBytes(of: member?.etag.digits ?? answer.etagDigits) { etag in
      let isNotModified = !options.ifNoneMatch.isEmpty && options.ifNoneMatch.elementsEqual(etag)
      writeMetadata(2, view, state, revision: answer.revision, etag: etag, isNotModified)
      if !isNotModified {
        let bytes = member?.bytes ?? answer.bytes
        state.scratch.prefix(1, bytes.count)
        reply.body = bytes
      }
    }
    reply.head.append(contentsOf: state.scratch.bytes)
  }

  /// Writes a `LookupMetadata`, as field `field` of a reply, to the worker's scratch memory.
  func writeMetadata(
    _ field: UInt8, _ view: CacheView, _ state: WorkerState, revision: Revision, etag: UnsafeRawBufferPointer,
    _ isNotModified: Bool
  ) {
    state.scratch.message(field, maximum: 2 * 11 + etag.count + 11 + tailBytes(state)) { out in
      out.unsigned(1, revision.rawValue)
      out.bytes(2, etag)
      out.unsigned(3, isNotModified ? 1 : 0)
      writeTail(of: view, state, to: &out)
    }
  }

  /// Writes the fields of `LookupMetadata` that are equal for all lookups in the same state of the cache.
  func writeTail(of view: CacheView, _ state: WorkerState, to out: inout ProtobufCursor) {
    let age = view.ageMilliseconds
    out.unsigned(4, view.isValid ? 0 : 1)
    out.unsigned(5, age)
    out.unsigned(6, view.isValid ? (view.reader.ttlMilliseconds - age) / 1000 : 0)
    out.unsigned(7, view.observed.rawValue)
    state.epochBytes.withUnsafeBytes { out.bytes(8, $0) }
  }

  /// An upper bound of the size of these fields: four numbers and an epoch, each with tag and length.
  func tailBytes(_ state: WorkerState) -> Int { 5 * 11 + state.epochBytes.count }

  /// Unpacks a request into the worker's arena. The previous contents of the arena are freed.
  func unpack<Message>(
    _ request: borrowing RPCRequest, _ state: WorkerState,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
  ) throws(RPCStatus) -> UnsafePointer<Message> {
    state.arena.reset()
    do throws(ProtobufError) {
      return try state.arena.unpack(request.message, by: unpack)
    } catch {
      throw RPCStatus(.invalidRequest, "the request \(error)")
    }
  }
}
