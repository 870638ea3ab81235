internal import ChangeStreamCache

/// How many notices a cache has published, by reason and document. Bounded: documents beyond the limit are one.
struct InvalidationCounters: Sendable {
  struct Label: Sendable, Hashable {
    let reason: String
    let itemID: String
  }

  /// Documents that are counted by themselves. Part of the contract of the metric.
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
