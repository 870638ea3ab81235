/// Looks into a cache without a lock and without counting references: what it finds is valid until ``leave()``.
///
/// Everything that is looked for between two calls of ``enter()``, ``advance()`` or ``list(_:)`` is of one moment,
/// however many looks it takes: readers see a publication whole or not at all.
///
/// For one thread, which leaves soon, and often: what has been replaced in the meantime stays in memory until then.
public final class AnswerReader {
  private let table: AnswerTable
  private let listings: Listings
  private let reader: Reclaimer.Reader
  /// The publication that is looked at.
  public private(set) var publication: UInt64 = 0

  init(_ table: AnswerTable, _ listings: Listings) {
    self.table = table
    self.listings = listings
    reader = table.reclaimer.makeReader()
  }

  deinit {
    table.reclaimer.remove(reader)
  }

  /// Begins to read, at the latest publication. To be called before the first ``query(space:key:)`` after a
  /// ``leave()``.
  public func enter() {
    table.reclaimer.enter(reader)
    publication = table.publication
  }

  /// Goes on to the latest publication; what was found before stays valid.
  @inline(__always)
  public func advance() { publication = table.publication }

  /// Makes ready to look for a key, and prefetches the slot where the search begins.
  @inline(__always)
  public func query(space: UInt8, key: UnsafeRawBufferPointer) -> AnswerQuery { table.query(space: space, key) }

  /// Prefetches the answer itself: worth its while where several queries are made before the first is looked for.
  @inline(__always)
  public func prefetch(_ query: AnswerQuery) { table.prefetch(query) }

  /// What the key answers as of ``publication``; nil for nothing.
  @inline(__always)
  public func find(_ query: AnswerQuery) -> Unmanaged<Answer>? { table.find(query, asOf: publication) }

  /// What the key answers as of ``publication``; nil for nothing.
  public func answer(space: UInt8, key: UnsafeRawBufferPointer) -> Answer? {
    table.onLook?()
    return find(query(space: space, key: key))?.takeUnretainedValue()
  }

  /// What the key answers as of ``publication``; nil for nothing.
  public func answer(_ key: LookupKey) -> Answer? {
    key.bytes.withUnsafeBytes { answer(space: key.space, key: $0) }
  }

  /// Goes on to the latest publication, and gives the answers of a list as of it, in order of key.
  public func list(_ name: String) -> AnswerList {
    table.onLook?()
    let state = listings.current
    publication = state.publication
    return state.lists[name] ?? AnswerList()
  }

  /// Ends the read: nothing that was found without a reference may be looked at any more.
  public func leave() { table.reclaimer.leave(reader) }
}

/// A key that is about to be looked for. Valid as long as its bytes are.
public struct AnswerQuery {
  let hash: UInt64
  let space: UInt8
  let key: UnsafeRawBufferPointer
}
