// SPDX-License-Identifier: Apache-2.0
/// The guarantees that a client of the service can rely on.
public enum Guarantee: Int, Sendable, CaseIterable, CustomStringConvertible {
  case warmFirst = 1
  case neverBack, noticeAfterTheFact, nothingLost, anyServer, asOfWhen, alwaysAnAnswer, bounded

  /// The name in reports.
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

  /// The number and the name.
  public var description: String { "\(rawValue) \(name)" }
}

/// A violation of a guarantee.
public struct Violation: Sendable, CustomStringConvertible {
  /// The violated guarantee.
  public let guarantee: Guarantee
  /// The observation that violates it.
  public let text: String

  /// The guarantee and the observation.
  public var description: String { "guarantee \(guarantee): \(text)" }
}
