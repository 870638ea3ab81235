// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL

/// The SHA-256 digest of a secret, which is stored instead of the secret.
public struct TokenDigest: Sendable, Hashable {
  private let words: SIMD4<UInt64>

  /// Computes the digest of a token.
  ///
  /// - Parameter token: The bytes of the token.
  public init(of token: some Collection<UInt8>) {
    let token = Array(token)
    var words = SIMD4<UInt64>()
    withUnsafeMutableBytes(of: &words) {
      _ = EVP_Digest(token, token.count, $0.assumingMemoryBound(to: UInt8.self).baseAddress, nil, EVP_sha256(), nil)
    }
    self.words = words
  }

  /// Reads a digest. Nil if the text does not consist of 64 hexadecimal digits.
  ///
  /// - Parameter text: The digits, in lower or upper case.
  public init?(hexadecimal text: some StringProtocol) {
    guard text.utf8.count == 64 else { return nil }
    var words = SIMD4<UInt64>()
    let isRead = withUnsafeMutableBytes(of: &words) { bytes in
      for (index, digit) in text.utf8.enumerated() {
        guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return false }
        bytes[index / 2] = bytes[index / 2] << 4 | UInt8(value)
      }
      return true
    }
    guard isRead else { return nil }
    self.words = words
  }

  /// The digest as 64 hexadecimal digits, in the format of `sha256sum`.
  public var hexadecimal: String {
    withUnsafeBytes(of: words) { bytes in
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
  }
}
