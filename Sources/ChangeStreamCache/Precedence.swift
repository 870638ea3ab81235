// SPDX-License-Identifier: Apache-2.0
/// A sort key that decides which of several documents with the same key is served: the one with the greatest
/// precedence.
///
/// The sort key is made once for each document, and compared byte by byte. The part that is appended first is the most
/// significant. The sort keys of one model consist of the same parts in the same order.
public struct Precedence: Sendable, Hashable, Comparable {
  /// The bytes of the sort key. Their lexicographic order is the order of precedences.
  public private(set) var bytes: [UInt8] = []

  /// Creates a sort key of numbers. Without any number, it is equal to every other empty sort key.
  ///
  /// - Parameter numbers: the numbers, the most significant one first.
  public init(_ numbers: Int64...) {
    for number in numbers { append(number) }
  }

  /// Appends a number. Its order is that of the integers.
  ///
  /// - Parameter number: any number, negative ones included.
  public mutating func append(_ number: Int64) {
    // With the sign bit flipped, the order of the big-endian bytes is the order of the numbers.
    let ordered = UInt64(bitPattern: number) ^ (1 << 63)
    bytes.reserveCapacity(bytes.count + 8)
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: ordered >> shift))
    }
  }

  /// Appends a part whose order is already the order of its bytes.
  ///
  /// - Parameter sortKey: the part. No part of another document may be a proper prefix of it, unless nothing is
  ///   appended afterwards.
  public mutating func append(sortKey: [UInt8]) {
    bytes.append(contentsOf: sortKey)
  }

  /// Returns whether `left` has the lower precedence.
  ///
  /// - Parameters:
  ///   - left: one sort key.
  ///   - right: the other one.
  /// - Returns: true if `left` is lower.
  public static func < (left: Precedence, right: Precedence) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
