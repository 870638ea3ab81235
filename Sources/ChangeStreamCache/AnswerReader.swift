// SPDX-License-Identifier: Apache-2.0
/// Reads the answers of a cache without a lock and without reference counting. Found answers are valid until
/// ``leave()``.
///
/// All lookups between two calls of ``enter()``, ``advance()`` or ``list(_:)`` see the same moment, regardless of their
/// number: a reader sees either all or nothing of a publication.
///
/// One thread uses a reader. It must leave soon and often, because answers that were replaced meanwhile stay in memory
/// until it does.
public final class AnswerReader {
  private let table: AnswerTable
  private let listings: Listings
  private let reader: Reclaimer.Reader
  /// The number of the publication that lookups see.
  public private(set) var publication: UInt64 = 0

  init(_ table: AnswerTable, _ listings: Listings) {
    self.table = table
    self.listings = listings
    reader = table.reclaimer.makeReader()
  }

  deinit {
    table.reclaimer.remove(reader)
  }

  /// Begins a read at the latest publication. Must be called before the first ``query(space:key:)`` after a
  /// ``leave()``.
  public func enter() {
    table.reclaimer.enter(reader)
    publication = table.publication
  }

  /// Moves on to the latest publication. Answers that were found before remain valid.
  @inline(__always)
  public func advance() { publication = table.publication }

  /// Prepares the lookup of a key, and prefetches the slot at which the search begins.
  ///
  /// - Parameters:
  ///   - space: the number of the key's space.
  ///   - key: the bytes of the key. They must remain valid while the query is used.
  /// - Returns: the query, for ``prefetch(_:)`` and ``find(_:)``.
  @inline(__always)
  public func query(space: UInt8, key: UnsafeRawBufferPointer) -> AnswerQuery { table.query(space: space, key) }

  /// Prefetches the answer itself. This pays off where several queries are prepared before the first is executed.
  ///
  /// - Parameter query: the query whose answer will be read.
  @inline(__always)
  public func prefetch(_ query: AnswerQuery) { table.prefetch(query) }

  /// Looks up the answer of a query as of ``publication``.
  ///
  /// - Parameter query: the query, prepared by this reader.
  /// - Returns: the answer, without a reference, valid until ``leave()``; nil if the key has no answer.
  @inline(__always)
  public func find(_ query: AnswerQuery) -> Unmanaged<CachedAnswer>? { table.find(query, asOf: publication) }

  /// Looks up the answer of a key as of ``publication``.
  ///
  /// - Parameters:
  ///   - space: the number of the key's space.
  ///   - key: the bytes of the key.
  /// - Returns: the answer; nil if the key has none.
  public func answer(space: UInt8, key: UnsafeRawBufferPointer) -> CachedAnswer? {
    table.onLook?()
    return find(query(space: space, key: key))?.takeUnretainedValue()
  }

  /// Looks up the answer of a key as of ``publication``.
  ///
  /// - Parameter key: the key.
  /// - Returns: the answer; nil if the key has none.
  public func answer(_ key: LookupKey) -> CachedAnswer? {
    key.bytes.withUnsafeBytes { answer(space: key.space, key: $0) }
  }

  /// Moves on to the latest publication and returns the answers of a list as of it.
  ///
  /// - Parameter name: the name of the list, one of ``CachedModel/listings``.
  /// - Returns: the answers in order of key; empty if there is no such list.
  public func list(_ name: String) -> AnswerList {
    table.onLook?()
    let state = listings.current
    publication = state.publication
    return state.lists[name] ?? AnswerList()
  }

  /// Ends the read. Answers that were found without a reference must not be used after this call.
  public func leave() { table.reclaimer.leave(reader) }
}

/// A prepared lookup of a key. It is valid while the memory of the key's bytes is valid.
public struct AnswerQuery {
  let hash: UInt64
  let space: UInt8
  let key: UnsafeRawBufferPointer
}
