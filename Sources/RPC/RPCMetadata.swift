/// The key-value pairs that travel with a call or a reply. Keys are lower-case ASCII; a key may occur more than once.
public struct RPCMetadata: Sendable, Hashable {
  /// One key and one value.
  public struct Pair: Sendable, Hashable {
    public let key: String
    public let value: String

    public init(key: String, value: String) {
      self.key = key
      self.value = value
    }
  }

  public private(set) var pairs: [Pair] = []

  public init() {}

  public var isEmpty: Bool { pairs.isEmpty }

  /// Of all keys and values.
  public var byteCount: Int { pairs.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } }

  /// The bytes of memory that the pairs take, allocations included: keys and values, and for each pair two strings with
  /// the headers of their storage.
  public var heldByteCount: Int { pairs.isEmpty ? 0 : byteCount + 128 * pairs.count }

  /// Adds a pair; those of the same key stay.
  public mutating func append(_ key: String, _ value: String) {
    pairs.append(Pair(key: key, value: value))
  }

  /// The first value of `key`.
  public subscript(key: String) -> String? {
    pairs.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  /// How many pairs have this key.
  public func count(of key: String) -> Int {
    pairs.count { $0.key.utf8.elementsEqual(key.utf8) }
  }

  /// Empties it and keeps the room, for the next call.
  public mutating func removeAll() {
    pairs.removeAll(keepingCapacity: true)
  }
}
