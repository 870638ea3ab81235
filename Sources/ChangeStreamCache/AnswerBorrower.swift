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

  /// To be called before the first ``borrow(space:key:)`` after a ``giveBack()``.
  public func begin() { table.gracePeriods.begin(reader) }

  /// What the key answers, or nil; as ``CacheReader/answer(space:key:)``.
  @inline(__always)
  public func borrow(space: UInt8, key: UnsafeRawBufferPointer) -> Unmanaged<Answer>? {
    table.lend(space: space, key)
  }

  /// Nothing that was borrowed may be looked at any more.
  public func giveBack() { table.gracePeriods.end(reader) }
}
