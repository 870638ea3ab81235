// SPDX-License-Identifier: Apache-2.0
/// One entry of a string map. Maps are represented as lists in order of key, because a dictionary would merge two keys
/// that differ only in the Unicode spelling of `é`, and has no order for encoding.
public struct StringPair: Sendable, Hashable {
  /// The key.
  public let key: String
  /// The value.
  public let value: String

  /// Creates an entry.
  ///
  /// - Parameters:
  ///   - key: the key.
  ///   - value: the value.
  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}
