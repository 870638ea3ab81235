/// Looks into a cache without a lock and without counting references: what it finds is lent until ``giveBack()``.
///
/// For one thread, which gives back soon, and often: what has changed in the meantime stays in memory until then.
public final class AnswerBorrower {
  private let table: AnswerTable
  private let reader: GracePeriods.Reader

  init(_ table: AnswerTable) {
    self.table = table
    reader = table.gracePeriods.makeReader()
  }

  deinit {
    table.gracePeriods.remove(reader)
  }

  /// To be called before the first ``query(space:key:)`` after a ``giveBack()``.
  public func begin() { table.gracePeriods.begin(reader) }

  /// Makes ready to look for a key, and has the first of what that takes brought near.
  @inline(__always)
  public func query(space: UInt8, key: UnsafeRawBufferPointer) -> AnswerQuery { table.query(space: space, key) }

  /// Has the rest brought near: worth its while where several queries were made before the first is looked for.
  @inline(__always)
  public func prefetch(_ query: AnswerQuery) { table.prefetch(query) }

  /// What the key answers, or nil; as ``CacheReader/answer(space:key:)``.
  @inline(__always)
  public func borrow(_ query: AnswerQuery) -> Unmanaged<Answer>? { table.lend(query) }

  /// Nothing that was borrowed may be looked at any more.
  public func giveBack() { table.gracePeriods.end(reader) }
}

/// A key that is about to be looked for. Lent, as its bytes are.
public struct AnswerQuery {
  let hash: UInt64
  let space: UInt8
  let key: UnsafeRawBufferPointer
}
