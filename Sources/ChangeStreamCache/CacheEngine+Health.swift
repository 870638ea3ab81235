// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The health of the cache, and reports of documents that cannot be served.
extension CacheEngine {
  /// Returns a copy of the cache's health.
  mutating func currentHealth() -> CacheHealth {
    if !isRejectedListCurrent {
      health.rejectedCount = live.problems.count
      health.rejected = live.problems.map {
        CacheHealth.Rejected(itemID: $0.key.text, field: $0.value.field, problem: $0.value.problem)
      }
      .sorted { $0.itemID < $1.itemID }.prefix(100).map { $0 }
      isRejectedListCurrent = true
    }
    if conflictsShown != live.conflictsGeneration {
      conflictsShown = live.conflictsGeneration
      health.conflictCount = live.conflicts.count
      health.conflicts = live.conflicts.compactMap(conflict).sorted { $0.cacheKey < $1.cacheKey }.prefix(100).map { $0 }
    }
    health.isStreamActive = isStreamOpen && isContinuous
    health.size = reader.count
    health.byteCount = live.byteCount
    return health
  }

  /// Records whether the stream's member is too far behind the database to confirm the contents.
  mutating func updateMajority(_ reply: StreamReply) {
    guard let lag = reply.majorityLag else { return }
    health.majorityLag = lag
    let isBehind = majorityLagLimit > .zero && lag > majorityLagLimit
    guard isBehind != isBehindMajority else { return }
    isBehindMajority = isBehind
    reader.publishBehindMajority(isBehind)
    if isBehind {
      logger.warning(
        "majority_lagging",
        "The database member has lost contact with the majority, or is catching up: answers are marked stale",
        ["cache": .string(Model.entity)])
    } else {
      logger.info(
        "majority_reached", "The database member is current again", ["cache": .string(Model.entity)])
    }
  }

  /// Logs and counts that a document became invalid, or valid again.
  mutating func report(_ id: DocumentID, _ reading: Reading?, before: DocumentProblem?) {
    if case .bad(let problem) = reading {
      guard problem != before else { return }
      isRejectedListCurrent = false
      logger.warning(
        "document_rejected",
        live.documents[id]?.entry == nil
          ? "Document rejected: it counts as absent until it is corrected"
          : "Document rejected: its last valid version is still served",
        [
          "cache": .string(Model.entity), "item_id": .string(id.text), "field": .string(problem.field),
          "problem": .string(problem.problem),
        ])
    } else if before != nil {
      isRejectedListCurrent = false
      logger.info(
        "document_mended", "A rejected document was corrected or deleted",
        ["cache": .string(Model.entity), "item_id": .string(id.text)])
    }
  }

  private func conflict(_ key: LookupKey) -> CacheHealth.Conflict? {
    guard case .many(let entries) = live.claims[key], entries.count > 1 else { return nil }
    let selector = Model.selector(ofSpace: key.space)
    return CacheHealth.Conflict(
      cacheKey: cacheKey(
        entity: Model.entity, selector: selector == Model.selector(ofSpace: 0) ? nil : selector, identifier: key.text,
        variant: Model.variant(ofSpace: key.space)),
      wins: entries[0].itemID, loses: entries[1].itemID)
  }
}
