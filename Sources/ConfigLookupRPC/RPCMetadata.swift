// SPDX-License-Identifier: Apache-2.0
/// The key-value pairs that are sent with a call or a reply. Keys are lower-case ASCII; a key may occur more than once.
public struct RPCMetadata: Sendable, Hashable {
  /// One key and one value.
  public struct Pair: Sendable, Hashable {
    /// The key, in lower-case ASCII.
    public let key: String
    /// The value.
    public let value: String

    /// Creates a pair.
    ///
    /// - Parameters:
    ///   - key: The key, in lower-case ASCII.
    ///   - value: The value.
    public init(key: String, value: String) {
      self.key = key
      self.value = value
    }
  }

  /// The pairs, in the order in which they were added.
  public private(set) var pairs: [Pair] = []

  /// Creates metadata without pairs.
  public init() {}

  /// Whether there are no pairs.
  public var isEmpty: Bool { pairs.isEmpty }

  /// Number of bytes of all keys and values.
  public var byteCount: Int { pairs.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } }

  /// Number of bytes of memory that the pairs take, allocations included: the keys and values, and for each pair two
  /// strings with the headers of their storage.
  public var heldByteCount: Int { pairs.isEmpty ? 0 : byteCount + 128 * pairs.count }

  /// Adds a pair. Pairs with the same key are kept.
  ///
  /// - Parameters:
  ///   - key: The key, in lower-case ASCII.
  ///   - value: The value.
  public mutating func append(_ key: String, _ value: String) {
    pairs.append(Pair(key: key, value: value))
  }

  /// The first value of a key; nil if the key does not occur.
  public subscript(key: String) -> String? {
    pairs.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  /// Returns the number of pairs with a key.
  ///
  /// - Parameter key: The key.
  /// - Returns: The number of pairs.
  public func count(of key: String) -> Int {
    pairs.count { $0.key.utf8.elementsEqual(key.utf8) }
  }

  /// Removes all pairs and keeps the capacity for the next call.
  public mutating func removeAll() {
    pairs.removeAll(keepingCapacity: true)
  }
}
