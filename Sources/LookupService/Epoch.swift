// SPDX-License-Identifier: Apache-2.0
internal import CXXHash
public import ChangeStreamCache
internal import ConfigLookupCore

/// The epoch: it identifies the database. It is a hash of the identities of the collections and an operator's salt.
/// Revisions of two epochs cannot be compared. Any thread.
public final class EpochSource: Sendable {
  private struct Known: Sendable {
    var generation = -1
    var epoch = ""
  }

  private let readers: [CacheReader]
  private let salt: String
  private let known = Locked(Known())

  /// Makes an epoch source.
  ///
  /// - Parameters:
  ///   - readers: the readers of all caches, whose collections identify the database.
  ///   - salt: a text that the operator changes when the same database goes back in time, as after a restore of its
  ///     files.
  public init(readers: [CacheReader], salt: String) {
    self.readers = readers
    self.salt = salt
  }

  /// A number that changes whenever ``current`` may have changed.
  var generation: Int {
    var sum = 0
    for reader in readers { sum &+= reader.identityGeneration }
    return sum
  }

  /// The epoch: 16 hexadecimal digits, equal on all servers of the same database.
  public var current: String {
    let generation = generation
    return known.withLock { known in
      if known.generation != generation {
        let text = (readers.map(\.identity) + [salt]).joined(separator: "\n")
        let hash = Array(text.utf8).withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
        let digits = String(hash, radix: 16)
        known = Known(generation: generation, epoch: String(repeating: "0", count: 16 - digits.count) + digits)
      }
      return known.epoch
    }
  }
}
