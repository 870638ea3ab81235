extension StringProtocol {
  /// Whether both texts have the same UTF-8 bytes.
  ///
  /// `==` of `String` is canonical equivalence: it holds U+212A (Kelvin sign) and `K` for equal, and a letter with a
  /// combining accent for the accented letter. A name that grants something must be compared by its bytes.
  ///
  /// - Parameter other: The text to compare with.
  /// - Returns: Whether the bytes are equal.
  /// - Complexity: O(*n*) in the length of the shorter text; not in constant time, so not for secrets.
  public func hasSameBytes(as other: some StringProtocol) -> Bool {
    utf8.elementsEqual(other.utf8)
  }

  /// Whether both texts have the same UTF-8 bytes once ASCII letters are in lower case, as host names compare.
  ///
  /// - Parameter other: The text to compare with.
  /// - Returns: Whether the bytes are equal but for the case of ASCII letters.
  /// - Complexity: O(*n*) in the length of the shorter text.
  public func hasSameBytesIgnoringASCIICase(as other: some StringProtocol) -> Bool {
    utf8.lazy.map(inLowerCase).elementsEqual(other.utf8.lazy.map(inLowerCase))
  }
}

private func inLowerCase(_ byte: UInt8) -> UInt8 {
  (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
}
