// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A read of a collection on a thread of its own, some documents ahead of the caller: while the caller decodes
/// documents, the database prepares the next ones. Only one thread may use and close it.
final class MongoReadAhead {
  /// The number of bytes of documents that are requested at once. With 1 MiB the latency to the database has no visible
  /// effect.
  static let batchBytes = 1 << 20
  /// The same number while lookups are answered. The kernel copies the received data without a break, and no other
  /// thread gets the CPU before it has done so; the same holds where the database sends.
  static let batchBytesBesideLookups = 1 << 18
  /// The maximum number of batches that wait to be taken.
  private static let waitingBatches = 4
  /// The number of documents in a batch until their size is known.
  private static let firstBatchCount = 128

  private struct State: Sendable {
    var batches: [[BSONDocument]] = []
    /// The end of the read: the revision of a successful one, or the error. Nil while the read is in progress.
    var end: Result<Revision, SourceError>?
    var isClosed = false
  }

  private let state: Locked<State>
  private let thread: OSThread

  init(
    pool: MongoClientPool, namespace: MongoNamespace, filter: BSONDocument, notBefore revision: Revision,
    batchBytes: Int, timeout: ReplyTimeout, clusterTime: BSONDocument?
  ) {
    let state = Locked(State())
    self.state = state
    thread = OSThread(name: "\(namespace.collection) ahead", urgency: .patient) {
      let end: Result<Revision, SourceError>
      do throws(SourceError) {
        let read = try MongoRead(
          pool: pool, namespace: namespace, filter: filter, notBefore: revision, batchCount: Self.firstBatchCount,
          timeout: timeout, clusterTime: clusterTime)
        defer { read.close() }
        try Self.readAll(read, batchBytes, into: state)
        end = .success(read.operationTime)
      } catch {
        end = .failure(error)
      }
      state.withLock { $0.end = end }
      state.signal()
    }
  }

  /// Returns the next documents; nil at the end.
  func next() throws(SourceError) -> [BSONDocument]? {
    let next: Result<[BSONDocument]?, SourceError> = state.waitForEver { state in
      if !state.batches.isEmpty { return .success(state.batches.removeFirst()) }
      return state.end?.map { _ in nil }
    }
    state.signal()
    return try next.get()
  }

  /// The revision at the end of the read; nil until it has ended.
  var endRevision: Revision? { state.withLock { try? $0.end?.get() } }

  /// Ends the read, and waits for the reply that the read waits for.
  func close() {
    state.withLock { $0.isClosed = true }
    state.signal()
    thread.join()
  }

  private static func readAll(_ read: MongoRead, _ batchBytes: Int, into state: Locked<State>) throws(SourceError) {
    var batch: [BSONDocument] = []
    var byteCount = 0
    var batchCount = firstBatchCount
    /// Passes the batch on. Returns false if no further documents are wanted.
    func hand() -> Bool {
      let full = batch
      batch = []
      byteCount = 0
      let isWanted = state.waitForEver { state -> Bool? in
        if state.isClosed { return false }
        guard state.batches.count < waitingBatches else { return nil }
        state.batches.append(full)
        return true
      }
      state.signal()
      return isWanted
    }
    while let document = try read.next() {
      batch.append(document)
      byteCount += document.bytes.count
      guard batch.count >= batchCount || byteCount >= batchBytes else { continue }
      batchCount = max(1, batchBytes * batch.count / max(byteCount, 1))
      read.setBatchCount(batchCount)
      guard hand() else { return }
    }
    _ = hand()
  }
}
