internal import Core

/// Warns of a collection in which nothing is found: its name is easily misspelt, and MongoDB takes every name. Any
/// thread.
final class EmptinessReport: Sendable {
  private let namespace: MongoNamespace
  private let setting: String
  private let logger: Logger
  private let isReported = Locked(false)

  /// - Parameter setting: What says which collection it is: a flag's name.
  init(namespace: MongoNamespace, setting: String, logger: Logger) {
    self.namespace = namespace
    self.setting = setting
    self.logger = logger
  }

  /// A read has ended. Logs one warning when it is the first that found nothing, or the first after one that did.
  ///
  /// - Parameter holdsDocuments: Asks whether the collection holds any document at all.
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
