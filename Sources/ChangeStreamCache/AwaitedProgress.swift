// SPDX-License-Identifier: Apache-2.0
/// What has to wait until the stream has advanced further.
enum AwaitedProgress: Sendable, Equatable {
  /// A change waits until the stream has passed the moment of its lookup, or until the rest of its transaction has been
  /// received.
  case change
  /// A reload whose read is in progress. The read may end at any moment; that of a small collection ends soon.
  case read(UInt64)
  /// A reload whose read has ended. It waits for the changes that happened during the read.
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
