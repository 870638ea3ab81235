/// What waits for the stream to come further.
enum AwaitedProgress: Sendable, Equatable {
  /// A change: for the stream to pass the moment of its lookup, or for the rest of its transaction.
  case change
  /// A reload whose read is under way: it may end at any moment, that of a small collection soon.
  case read(UInt64)
  /// A reload whose read has ended: for what changed meanwhile.
  case reload(UInt64)

  init?(hasChanges: Bool, _ reload: Reload?) {
    if hasChanges {
      self = .change
    } else if let reload {
      self = reload.end == nil ? .read(reload.number) : .reload(reload.number)
    } else {
      return nil
    }
  }
}
