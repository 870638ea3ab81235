public import Core

/// A log that is kept, to be read by the test.
public final class CapturedLog: Sendable {
  private let kept: Locked<[String]>
  /// Writes JSON lines here.
  public let logger: Logger

  public init(level: Logger.Level = .debug) {
    let kept = Locked<[String]>([])
    self.kept = kept
    logger = Logger(level: level, format: .json) { line in kept.withLock { $0.append(line) } }
  }

  public var lines: [String] { kept.withLock { Array($0) } }

  /// The lines of one event.
  public func lines(event: String) -> [String] {
    let wanted = "\"event\":\(quoted(event))"
    return lines.filter { $0.contains(wanted) }
  }
}
