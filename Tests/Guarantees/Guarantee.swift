/// What a caller of the service can rely on.
public enum Guarantee: Int, Sendable, CaseIterable, CustomStringConvertible {
  case warmFirst = 1
  case neverBack, noticeAfterTheFact, nothingLost, anyServer, asOfWhen, alwaysAnAnswer, bounded

  public var name: String {
    switch self {
    case .warmFirst: "warm start"
    case .neverBack: "monotonic reads"
    case .noticeAfterTheFact: "data before notice"
    case .nothingLost: "no lost change"
    case .anyServer: "portable positions"
    case .asOfWhen: "dated answers"
    case .alwaysAnAnswer: "availability"
    case .bounded: "bounded memory"
    }
  }

  public var description: String { "\(rawValue) \(name)" }
}

/// A guarantee was not kept.
public struct Violation: Sendable, CustomStringConvertible {
  public let guarantee: Guarantee
  public let text: String

  public var description: String { "guarantee \(guarantee): \(text)" }
}
