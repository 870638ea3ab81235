// SPDX-License-Identifier: Apache-2.0

/// An error with which a command ends, by the numbers and names of mongod's `error_codes.yml`.
public struct CommandError: Error, Sendable, Equatable {
  /// The code.
  public var code: Int32
  /// The name of the code.
  public var name: String
  /// The message.
  public var message: String
  /// The labels that do not follow from the code and the command.
  public var labels: [String] = []

  /// Whether the error has no other labels than ``labels``.
  public var hasOnlyItsLabels = false

  /// Whether the error was raised before the command ran, so that it has no label of change streams.
  public var isBeforeCommand = false

  /// Creates an error.
  ///
  /// - Parameters:
  ///   - code: the code.
  ///   - name: the name of the code.
  ///   - message: the message.
  public init(_ code: Int32, _ name: String, _ message: String) {
    self.code = code
    self.name = name
    self.message = message
  }

  static let notPrimary = CommandError(10107, "NotWritablePrimary", "not primary")
  static let notPrimaryNoSecondaryOk = CommandError(
    13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false")
  static let recovering = CommandError(13436, "NotPrimaryOrSecondary", "node is recovering")
  static let steppedDown = CommandError(
    11602, "InterruptedDueToReplStateChange", "operation was interrupted due to replication state change")

  /// The codes that drivers treat as a change of the topology.
  static let stateChangeCodes: Set<Int32> = [91, 189, 10058, 10107, 11600, 11602, 13435, 13436]
  /// The codes of mongod's category `RetriableError` and of the network.
  static let retriableCodes: Set<Int32> = stateChangeCodes.union([6, 7, 50, 89, 134, 262, 9001])

  /// The labels of the error by mongod's `ErrorLabelBuilder`.
  ///
  /// - Parameters:
  ///   - command: the name of the command.
  ///   - isChangeStream: whether the command concerns a change stream.
  ///   - hasTransactionNumber: whether the command is a retryable write.
  ///   - isInTransaction: whether the command belongs to a transaction.
  /// - Returns: the labels.
  func allLabels(
    command: String, isChangeStream: Bool, hasTransactionNumber: Bool, isInTransaction: Bool
  ) -> [String] {
    var all = labels
    if hasOnlyItsLabels { return all }
    if isInTransaction {
      if command == "commitTransaction" {
        if Self.retriableCodes.contains(code) { all.append("RetryableWriteError") }
      } else if Self.retriableCodes.contains(code) || code == 112 || code == 251 {
        all.append("TransientTransactionError")
      }
    } else if hasTransactionNumber, Self.retriableCodes.contains(code) {
      all.append("RetryableWriteError")
    }
    if isChangeStream, !isBeforeCommand {
      if Self.retriableCodes.contains(code) || [43, 63, 133, 150, 13388, 234, 133].contains(code) {
        all.append("ResumableChangeStreamError")
      }
      if code == 280 || code == 286 { all.append("NonResumableChangeStreamError") }
    }
    return all
  }
}
