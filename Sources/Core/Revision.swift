/// The MongoDB cluster time of a change, `seconds << 32 | increment`: the same on every server of a deployment.
///
/// Not unique: the changes of a transaction share one.
public struct Revision: Sendable, Hashable, Comparable, CustomStringConvertible {
  public var rawValue: UInt64

  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public init(seconds: UInt32, increment: UInt32) {
    rawValue = UInt64(seconds) << 32 | UInt64(increment)
  }

  /// Before every change.
  public static let none = Revision(0)

  public var seconds: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
  public var increment: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

  public static func < (left: Revision, right: Revision) -> Bool {
    left.rawValue < right.rawValue
  }

  public var description: String { "\(rawValue)" }
}
