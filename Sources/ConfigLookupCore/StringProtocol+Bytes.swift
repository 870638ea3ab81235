// SPDX-License-Identifier: Apache-2.0
extension StringProtocol {
  /// Returns whether both texts have the same UTF-8 bytes.
  ///
  /// `==` of `String` is canonical equivalence: it treats U+212A (Kelvin sign) and `K` as equal, and a letter with a
  /// combining accent as equal to the accented letter. A name that grants permissions must be compared by its bytes.
  ///
  /// - Parameter other: the text to compare with.
  /// - Returns: whether the bytes are equal.
  /// - Complexity: O(*n*) in the length of the shorter text. Not in constant time, so not for secrets.
  public func hasSameBytes(as other: some StringProtocol) -> Bool {
    utf8.elementsEqual(other.utf8)
  }

  /// Returns whether both texts have the same UTF-8 bytes after ASCII letters are converted to lower case, as host
  /// names are compared.
  ///
  /// - Parameter other: the text to compare with.
  /// - Returns: whether the bytes are equal except for the case of ASCII letters.
  /// - Complexity: O(*n*) in the length of the shorter text.
  public func hasSameBytesIgnoringASCIICase(as other: some StringProtocol) -> Bool {
    utf8.lazy.map(inLowerCase).elementsEqual(other.utf8.lazy.map(inLowerCase))
  }
}

private func inLowerCase(_ byte: UInt8) -> UInt8 {
  (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
}
