// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Logs a warning for a collection in which no document is found: its name is easily misspelt, and MongoDB accepts
/// every name. Any thread may use it.
final class EmptinessReport: Sendable {
  private let namespace: MongoNamespace
  private let setting: String
  private let logger: Logger
  private let isReported = Locked(false)

  /// Creates a report.
  ///
  /// - Parameter setting: the setting that names the collection, e.g. a flag's name.
  init(namespace: MongoNamespace, setting: String, logger: Logger) {
    self.namespace = namespace
    self.setting = setting
    self.logger = logger
  }

  /// Records that a read has ended. Logs a warning if it is the first read that found nothing, or the first such read
  /// after one that found documents.
  ///
  /// - Parameter holdsDocuments: returns whether the collection contains any document at all; nil if that is not known.
  func readEnded(isEmpty: Bool, holdsDocuments: () -> Bool?) {
    let isNews = isReported.withLock { isReported in
      defer { isReported = isEmpty }
      return isEmpty && !isReported
    }
    guard isNews else { return }
    let (event, problem) =
      holdsDocuments() == true
      ? ("collection_without_match", "has documents, but none that is served; check their status")
      : ("collection_empty", "is empty or does not exist; check the database and collection in \(setting)")
    logger.warning(event, "\(namespace) \(problem)", ["namespace": .string(namespace.description)])
  }
}
