// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Writes the log lines that clients can cause, limited to a few lines per minute for each reason. Any thread may use
/// it.
///
/// Such lines must be logged only by this type. Each line has a field `suppressed`: the number of lines of its reason
/// that were suppressed since the previous one. The process-wide number is ``suppressedLines``.
public final class RateLimitedLogger: Sendable {
  private let logger: Logger
  private let budget: LineBudget
  private static let suppressed = Atomic<UInt64>(0)

  /// Creates a logger with a budget of its own.
  ///
  /// - Parameters:
  ///   - logger: receives the lines that are written.
  ///   - budget: the maximum number of lines of one reason in a period.
  public init(_ logger: Logger, budget: LineBudget = LineBudget()) {
    self.logger = logger
    self.budget = budget
  }

  /// The number of lines that all loggers of this type have suppressed since the process began.
  public static var suppressedLines: UInt64 { suppressed.load(ordering: .relaxed) }

  /// Writes a line if the budget of its reason is not exhausted.
  ///
  /// - Parameters:
  ///   - level: the severity of the event. Below the level of the logger, the line is neither written nor counted.
  ///   - event: the name of the event.
  ///   - reason: the reason by which the budget is kept. The set of reasons is small and the server's own: a client
  ///     must not be able to add to it.
  ///   - message: the message. It is evaluated only if the line is written.
  ///   - fields: further fields. They are evaluated only if the line is written.
  public func log(
    _ level: Logger.Level, _ event: String, reason: String, _ message: @autoclosure () -> String,
    _ fields: @autoclosure () -> KeyValuePairs<String, Logger.Field> = [:]
  ) {
    guard level >= logger.level else { return }
    guard let left = budget.take(reason) else {
      Self.suppressed.add(1, ordering: .relaxed)
      return
    }
    logger.log(level, event, message(), fields() + [(key: "suppressed", value: .integer(left))])
  }
}
