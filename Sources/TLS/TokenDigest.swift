internal import COpenSSL

/// The SHA-256 of a secret: what is kept in its place.
public struct TokenDigest: Sendable, Hashable {
  private let words: SIMD4<UInt64>

  /// That of a token.
  public init(of token: some Collection<UInt8>) {
    let token = Array(token)
    var words = SIMD4<UInt64>()
    withUnsafeMutableBytes(of: &words) {
      _ = EVP_Digest(token, token.count, $0.assumingMemoryBound(to: UInt8.self).baseAddress, nil, EVP_sha256(), nil)
    }
    self.words = words
  }

  /// Reads 64 hexadecimal digits.
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

  /// 64 digits, as `sha256sum` writes them.
  public var hexadecimal: String {
    withUnsafeBytes(of: words) { bytes in
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
  }
}
