/// A sort key that settles which of several documents answers a key: the greatest one does.
///
/// The key is made once for each document, and compared byte by byte. What is appended first counts most. The keys of
/// one model are made of the same parts in the same order.
public struct Precedence: Sendable, Hashable, Comparable {
  /// Two keys are in the order of these bytes, compared lexicographically.
  public private(set) var bytes: [UInt8] = []

  /// A key of numbers; without any, one that is equal to every other key without any.
  ///
  /// - Parameter numbers: the numbers, the most significant one first.
  public init(_ numbers: Int64...) {
    for number in numbers { append(number) }
  }

  /// Appends a number. Its order is that of the integers.
  ///
  /// - Parameter number: any number, negative ones too.
  public mutating func append(_ number: Int64) {
    // With the sign bit flipped, the order of the bytes, the highest first, is the order of the numbers.
    let ordered = UInt64(bitPattern: number) ^ (1 << 63)
    bytes.reserveCapacity(bytes.count + 8)
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: ordered >> shift))
    }
  }

  /// Appends a part that is in the order of its bytes already.
  ///
  /// - Parameter sortKey: the part. No part of another document may be a proper prefix of it, unless nothing is
  ///   appended afterwards.
  public mutating func append(sortKey: [UInt8]) {
    bytes.append(contentsOf: sortKey)
  }

  public static func < (left: Precedence, right: Precedence) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
