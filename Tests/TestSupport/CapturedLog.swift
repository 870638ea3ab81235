// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A log that is stored in memory for a test. Any thread may use it.
public final class CapturedLog: Sendable {
  private let kept: Locked<[String]>
  /// The logger that writes JSON lines to this log.
  public let logger: Logger

  /// Creates an empty log.
  ///
  /// - Parameter level: the lowest level that is logged.
  public init(level: Logger.Level = .debug) {
    let kept = Locked<[String]>([])
    self.kept = kept
    logger = Logger(level: level, format: .json) { line in kept.withLock { $0.append(line) } }
  }

  /// All lines so far.
  public var lines: [String] { kept.withLock { Array($0) } }

  /// Returns the lines of an event.
  ///
  /// - Parameter event: the name of the event.
  /// - Returns: the lines, in order.
  public func lines(event: String) -> [String] {
    let wanted = "\"event\":\(quoted(event))"
    return lines.filter { $0.contains(wanted) }
  }
}
