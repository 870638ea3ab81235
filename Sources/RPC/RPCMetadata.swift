/// The key-value pairs that travel with a call or a reply. Keys are lower-case ASCII; a key may occur more than once.
public struct RPCMetadata: Sendable, Hashable {
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

  public mutating func append(_ key: String, _ value: String) {
    pairs.append(Pair(key: key, value: value))
  }

  /// The first value of `key`.
  public subscript(key: String) -> String? {
    pairs.first { $0.key == key }?.value
  }

  public mutating func removeAll() {
    pairs.removeAll(keepingCapacity: true)
  }
}
