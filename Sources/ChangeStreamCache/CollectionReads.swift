// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Reads the whole collection, or its earlier history, on request, one step at a time. This is the work of the cache's
/// second thread.
// Safe to share: used only by the caller that performs the steps, one after the other.
final class CollectionReads<Model: CachedModel>: @unchecked Sendable {
  private let source: any DocumentSource
  private let state: CacheState<Model>
  private let options: ChangeStreamCache<Model>.Options
  private let clock: any TimeSource
  private let complaints: SourceComplaints
  private var backoff: Backoff
  /// Whether the collection has been read once, so that lookups are answered.
  private var hasRead = false
  /// A read that failed, until the wait after it is over.
  private var failed: (number: UInt64, error: SourceError)?

  init(
    source: any DocumentSource, state: CacheState<Model>, options: ChangeStreamCache<Model>.Options,
    clock: any TimeSource,
    complaints: SourceComplaints
  ) {
    self.source = source
    self.state = state
    self.options = options
    self.clock = clock
    self.complaints = complaints
    backoff = Backoff(initial: options.initialRetryDelay, maximum: options.maximumRetryDelay)
  }

  /// Performs the requested read. Returns the time to wait before the next step; nil if no read was requested.
  func step() -> Duration? {
    if let (number, error) = failed {
      // The failure is reported after the wait, because the stream's thread then requests the next read.
      failed = nil
      state.withEngine { $0.readFailed(number, error) }
      return .zero
    }
    let request = state.control.withLock { control in
      defer { control.read = nil }
      return control.read
    }
    guard let request else { return nil }
    switch request.subject {
    case .collection(let revision): return readCollection(request.number, notBefore: revision)
    case .past(let revision):
      let past = readPast(through: revision)
      state.withEngine { $0.pastRead(request.number, past) }
      return .zero
    }
  }

  // MARK: The collection

  private func readCollection(_ number: UInt64, notBefore revision: Revision) -> Duration {
    do throws(SourceError) {
      // A read that was stopped halfway has not found the whole collection.
      guard let end = try readRows(number, notBefore: revision) else { return .zero }
      let (now, wallNow) = (clock.now, clock.wallNow)
      state.withEngine { $0.readEnded(number, at: end, now: now, wallNow: wallNow) }
      hasRead = true
      backoff.reset()
      return .zero
    } catch {
      if !state.isStopping { complaints.log(error, "read_failed") }
      failed = (number, error)
      return max(options.initialRetryDelay, backoff.next())
    }
  }

  /// Reads the rows. Returns the revision at the end of the read; nil if the read is no longer wanted.
  private func readRows(_ number: UInt64, notBefore revision: Revision) throws(SourceError) -> Revision? {
    var rows: [(id: DocumentID, reading: Reading)] = []
    var isWanted = true
    func hand() {
      let chunk = rows
      isWanted = state.withEngine { $0.rowsRead(number, chunk) } && !state.isStopping
      rows.removeAll(keepingCapacity: true)
    }
    let end = try source.readAll(
      matching: Model.filter.query, notBefore: revision, besideLookups: hasRead
    ) { document in
      guard let id = document.id else { return true }
      rows.append((id, Reading(document, id: id, as: Model.self)))
      // While this thread waited for the source, the scheduler credited it with CPU time, some milliseconds. Without
      // the yield it would use them up even if a lookup has arrived.
      if hasRead { OSThread.yield() }
      if rows.count == options.rowsPerHandover { hand() }
      return isWanted
    }
    hand()
    return isWanted ? end : nil
  }

  // MARK: The past

  /// Reads the changes up to `end`, as far back as the options require and the source can provide. Returns nil if they
  /// cannot be read in time.
  private func readPast(through end: Revision) -> PastChanges? {
    let deadline = clock.now.advanced(by: options.historyTimeout)
    var window = options.historyWindow
    while window >= .seconds(1), clock.now < deadline, !state.isStopping {
      let length = UInt32(clamping: window.milliseconds / 1000)
      let from = Revision(seconds: end.seconds - min(end.seconds, length), increment: 1)
      var past = PastChanges(from: from, spaces: Model.announcedSpaces)
      var isWhole = true
      do throws(SourceError) {
        try source.readHistory(from: from, through: end) { change in
          past.take(change, read(change))
          isWhole = clock.now < deadline && !state.isStopping
          return isWhole
        }
        return isWhole ? past : nil
      } catch {
        guard error.kind == .historyLost else {
          if !state.isStopping { complaints.log(error, "history_not_read") }
          return nil
        }
        // The source does not reach back this far, so half of the time is tried.
        window /= 2
      }
    }
    return nil
  }

  private func read(_ change: PastChange) -> Reading? {
    switch change.operation {
    case .insert(let document), .replace(let document):
      change.id.map { Reading(document, id: $0, as: Model.self) }
    case .update, .delete, .other: nil
    }
  }
}
