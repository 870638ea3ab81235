internal import BSON
internal import Core

/// What the engine reports: how the cache is doing, and which documents cannot be served.
extension CacheEngine {
  /// A copy of how the cache is doing.
  mutating func currentHealth() -> CacheHealth {
    if !isRejectedListCurrent {
      health.rejectedCount = live.problems.count
      health.rejected = live.problems.map {
        CacheHealth.Rejected(itemID: $0.key.text, field: $0.value.field, problem: $0.value.problem)
      }
      .sorted { $0.itemID < $1.itemID }.prefix(100).map { $0 }
      isRejectedListCurrent = true
    }
    health.isStreamActive = isStreamOpen && isContinuous
    health.size = reader.count
    health.byteCount = live.byteCount
    return health
  }

  /// Logs and counts that a document became bad, or good again.
  mutating func report(_ id: DocumentID, _ reading: Reading?, before: DocumentProblem?) {
    if case .bad(let problem) = reading {
      guard problem != before else { return }
      isRejectedListCurrent = false
      logger.warning(
        "document_rejected",
        live.documents[id]?.entry == nil
          ? "a document cannot be served; it counts as absent until it is mended"
          : "a document cannot be served; its last good version goes on being served",
        [
          "cache": .string(Model.entity), "item_id": .string(id.text), "field": .string(problem.field),
          "problem": .string(problem.problem),
        ])
    } else if before != nil {
      isRejectedListCurrent = false
      logger.info(
        "document_mended", "a rejected document is good again, or gone",
        ["cache": .string(Model.entity), "item_id": .string(id.text)])
    }
  }
}
