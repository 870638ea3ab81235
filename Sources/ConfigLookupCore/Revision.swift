// SPDX-License-Identifier: Apache-2.0
/// The MongoDB cluster time of a change, `seconds << 32 | increment`. It is the same on every server of a deployment.
///
/// It is not unique: the changes of a transaction share one.
public struct Revision: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The cluster time as one number.
  public var rawValue: UInt64

  /// Creates a revision of a number.
  ///
  /// - Parameter rawValue: `seconds << 32 | increment`.
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// Creates a revision of a BSON timestamp.
  ///
  /// - Parameters:
  ///   - seconds: the seconds since 1970-01-01T00:00:00Z.
  ///   - increment: the ordinal within the second.
  public init(seconds: UInt32, increment: UInt32) {
    rawValue = UInt64(seconds) << 32 | UInt64(increment)
  }

  /// The revision 0, which is before every change.
  public static let none = Revision(0)

  /// The seconds since 1970-01-01T00:00:00Z.
  public var seconds: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
  /// The ordinal within the second.
  public var increment: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

  /// Returns whether `left` is earlier.
  ///
  /// - Parameters:
  ///   - left: one revision.
  ///   - right: the other one.
  /// - Returns: true if `left` is earlier than `right`.
  public static func < (left: Revision, right: Revision) -> Bool {
    left.rawValue < right.rawValue
  }

  /// The number in decimal digits.
  public var description: String { "\(rawValue)" }
}
