// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache

/// The number of notices that a cache has published, by reason and document. Bounded: documents beyond the limit share
/// one counter.
struct InvalidationCounters: Sendable {
  struct Label: Sendable, Hashable {
    let reason: String
    let itemID: String
  }

  /// The number of documents with a counter of their own. It is part of the contract of the metric.
  static let documentLimit = 1000

  private(set) var counts: [Label: UInt64] = [:]
  private var documents: Set<String> = []

  mutating func count(_ invalidations: [Invalidation]) {
    for invalidation in invalidations {
      counts[Label(reason: invalidation.reason.description, itemID: name(invalidation.itemID)), default: 0] += 1
    }
  }

  private mutating func name(_ itemID: String) -> String {
    if documents.contains(itemID) { return itemID }
    guard documents.count < Self.documentLimit else { return "other" }
    documents.insert(itemID)
    return itemID
  }
}
