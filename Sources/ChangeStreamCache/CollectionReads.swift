internal import BSON
internal import Core

/// Reads the whole collection when that was asked for, one step at a time: the work of the cache's second thread.
// Safe to share: touched only by whoever makes the steps, one after the other.
final class CollectionReads<Model: CachedModel>: @unchecked Sendable {
  private let source: any DocumentSource
  private let state: CacheState<Model>
  private let options: ChangeStreamCache<Model>.Options
  private let clock: any Clock
  private let complaints: SourceComplaints
  private var backoff: Backoff
  /// A read that failed, until the wait after it is over.
  private var failed: (number: UInt64, error: SourceError)?

  init(
    source: any DocumentSource, state: CacheState<Model>, options: ChangeStreamCache<Model>.Options, clock: any Clock,
    complaints: SourceComplaints
  ) {
    self.source = source
    self.state = state
    self.options = options
    self.clock = clock
    self.complaints = complaints
    backoff = Backoff(firstSeconds: options.firstRetrySeconds, limitSeconds: options.retryLimitSeconds)
  }

  /// Does the read that was asked for, and gives the seconds to wait before the next step; nil: nothing was asked for.
  func step() -> Double? {
    if let (number, error) = failed {
      // Given up after the wait: that is when the stream's thread asks for the next.
      failed = nil
      state.withEngine { $0.readFailed(number, error) }
      return 0
    }
    let request = state.control.withLock { control in
      defer { control.read = nil }
      return control.read
    }
    guard let request else { return nil }
    do throws(SourceError) {
      // Given up halfway: what it has found is not the collection.
      guard let end = try read(request) else { return 0 }
      let (now, wallNow) = (clock.now, clock.wallNow)
      state.withEngine { $0.readEnded(request.number, at: end, now: now, wallNow: wallNow) }
      backoff.reset()
      return 0
    } catch {
      if !state.isStopping { complaints.log(error, "read_failed") }
      failed = (request.number, error)
      return max(options.firstRetrySeconds, backoff.next())
    }
  }

  /// The revision at the end of the read; nil if nobody wants it any more.
  private func read(_ request: CacheState<Model>.ReadRequest) throws(SourceError) -> Revision? {
    var rows: [(id: DocumentID, reading: Reading)] = []
    var isWanted = true
    func hand() {
      let chunk = rows
      isWanted = state.withEngine { $0.rowsRead(request.number, chunk) } && !state.isStopping
      rows.removeAll(keepingCapacity: true)
    }
    let end = try source.readAll(matching: Model.filter.query, notBefore: request.notBefore) { document in
      guard let id = document.id else { return true }
      rows.append((id, Reading(document, id: id, as: Model.self)))
      if rows.count == options.rowsPerHandover { hand() }
      return isWanted
    }
    hand()
    return isWanted ? end : nil
  }
}
