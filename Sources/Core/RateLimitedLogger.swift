internal import Synchronization

/// Writes the log lines that callers can cause: for each reason a few a minute, whatever the callers do. Any thread.
///
/// The only way for such a line into the log. Each has a field `suppressed`: how many of its reason were left out since
/// the one before. All that were left out by the process are ``suppressedLines``.
public final class RateLimitedLogger: Sendable {
  private let logger: Logger
  private let budget: LineBudget
  private static let suppressed = Atomic<UInt64>(0)

  /// Makes a logger with a budget of its own.
  ///
  /// - Parameters:
  ///   - logger: Takes the lines that are written.
  ///   - budget: How many lines of one reason in how long.
  public init(_ logger: Logger, budget: LineBudget = LineBudget()) {
    self.logger = logger
    self.budget = budget
  }

  /// The lines that every logger of this kind has left out since the process began.
  public static var suppressedLines: UInt64 { suppressed.load(ordering: .relaxed) }

  /// Writes a line if its reason has lines left.
  ///
  /// - Parameters:
  ///   - level: How much the event matters. Below the level of the log, the line is neither written nor counted.
  ///   - event: The name of the event.
  ///   - reason: What the budget is kept by. Reasons are few and the server's own: a caller must not be able to make
  ///     new ones.
  ///   - message: Made only if the line is written, as are the fields.
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
