/// What a caller of the service can rely on.
public enum Guarantee: Int, Sendable, CaseIterable, CustomStringConvertible {
  case warmFirst = 1
  case neverBack, noticeAfterTheFact, nothingLost, anyServer, asOfWhen, alwaysAnAnswer, bounded

  public var name: String {
    switch self {
    case .warmFirst: "warm first"
    case .neverBack: "never back"
    case .noticeAfterTheFact: "notice after the fact"
    case .nothingLost: "nothing lost"
    case .anyServer: "any server"
    case .asOfWhen: "every answer says as of when"
    case .alwaysAnAnswer: "always an answer"
    case .bounded: "bounded"
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
