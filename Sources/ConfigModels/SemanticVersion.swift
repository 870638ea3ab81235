// SPDX-License-Identifier: Apache-2.0
/// A version by the rules of Semantic Versioning 2.0.0, e.g. `1.4.0`, `2.0.0-rc.1` or `2.0.0+build.7`.
///
/// https://semver.org/spec/v2.0.0.html
public struct SemanticVersion: Sendable, Equatable {
  /// The version as written in the document.
  public let text: String
  /// The sort key: bytes whose lexicographic order is the precedence of versions (section 11 of the specification).
  /// Build metadata is not part of it. No version's sort key is a proper prefix of another's.
  public let sortKey: [UInt8]

  /// Parses a version. The result is nil if the text violates a rule of the specification. Numbers may have any number
  /// of digits.
  ///
  /// - Parameter text: the version, without surrounding characters.
  public init?(_ text: String) {
    var text = text
    let key = text.withUTF8 { text in
      var reader = SortKeyReader(text: text)
      return reader.read()
    }
    guard let key else { return nil }
    self.text = text
    self.sortKey = key
  }
}

/// Parses a version from left to right, and writes its sort key.
private struct SortKeyReader {
  /// The bytes that mark the parts of the sort key after the three numbers.
  ///
  /// Their order is that of section 11: the end of a pre-release is below a further identifier, a numeric identifier is
  /// below any other, and a pre-release is below a release.
  private enum Mark {
    static let end: UInt8 = 0
    static let number: UInt8 = 1
    static let word: UInt8 = 2
    static let isRelease: UInt8 = 3
  }

  let text: UnsafeBufferPointer<UInt8>
  private var place = 0
  private var key: [UInt8] = []

  init(text: UnsafeBufferPointer<UInt8>) {
    self.text = text
    key.reserveCapacity(24)
  }

  mutating func read() -> [UInt8]? {
    for index in 0..<3 {
      if index > 0 { guard take(".") else { return nil } }
      let start = place
      while place < text.count, isDigit(text[place]) { place += 1 }
      guard appendNumber(start..<place) else { return nil }
    }
    if take("-") {
      repeat {
        guard let identifier = takeIdentifier() else { return nil }
        if text[identifier].allSatisfy(isDigit) {
          key.append(Mark.number)
          guard appendNumber(identifier) else { return nil }
        } else {
          key.append(Mark.word)
          key.append(contentsOf: text[identifier])
          // A terminator below every byte of an identifier, so that a prefix of an identifier is below it.
          key.append(0)
        }
      } while take(".")
      key.append(Mark.end)
    } else {
      key.append(Mark.isRelease)
    }
    if take("+") {
      repeat { guard takeIdentifier() != nil else { return nil } } while take(".")
    }
    return place == text.count ? key : nil
  }

  /// Of two numbers without leading zeros, the one with more digits is greater.
  private mutating func appendNumber(_ digits: Range<Int>) -> Bool {
    guard !digits.isEmpty, digits.count == 1 || text[digits.lowerBound] != UInt8(ascii: "0") else { return false }
    withUnsafeBytes(of: UInt32(truncatingIfNeeded: digits.count).bigEndian) { key.append(contentsOf: $0) }
    key.append(contentsOf: text[digits])
    return true
  }

  private mutating func takeIdentifier() -> Range<Int>? {
    let start = place
    while place < text.count, isOfIdentifier(text[place]) { place += 1 }
    return place > start ? start..<place : nil
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard place < text.count, text[place] == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  private func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }

  private func isOfIdentifier(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "-") || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
  }
}
