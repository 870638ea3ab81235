/// One entry of a string map. Maps are lists in order of key here: a dictionary would make one of two keys that differ
/// only in how they spell `é`, and has no order to encode in.
public struct StringPair: Sendable, Hashable {
  public let key: String
  public let value: String

  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}
