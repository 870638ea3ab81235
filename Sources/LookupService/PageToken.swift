// SPDX-License-Identifier: Apache-2.0
internal import CXXHash
internal import ChangeStreamCache
internal import ConfigLookupRPC
internal import FoundationEssentials

/// The position of a list: the key after which the next page begins. It stays valid while the collection changes,
/// because keys keep their order.
///
/// On the wire: base64url of a version byte, a hash of list, filter and key (4 bytes), and the last key of the page.
/// The hash prevents the use of a token with another list, and detects truncated and mistyped tokens.
enum PageToken {
  private static let version: UInt8 = 1

  static func encode(after key: LookupKey, list: String) -> String {
    var bytes = [version]
    withUnsafeBytes(of: check(list, key.bytes).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: key.bytes)
    return Data(bytes).base64EncodedString()
      .replacing("+", with: "-").replacing("/", with: "_")
      .replacing("=", with: "")
  }

  /// Returns the key after which `list` continues. Throws INVALID_ARGUMENT unless the token was created by this list.
  static func decode(_ token: UnsafeRawBufferPointer, list: String) throws(RPCStatus) -> [UInt8] {
    let problem = RPCStatus.invalid(
      "page_token", "was not returned by this list with this filter", reason: .invalidPageToken)
    guard token.count <= 1024, let text = String(validating: token, as: UTF8.self) else { throw problem }
    var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
    base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
    guard let bytes = Data(base64Encoded: base64).map({ Array($0) }), bytes.count > 5, bytes[0] == version else {
      throw problem
    }
    let key = Array(bytes[5...])
    let wanted = bytes[1..<5].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    // Base64 has several spellings of the same bytes; only the one that this list creates is accepted.
    guard check(list, key) == wanted, encode(after: LookupKey(bytes: key, space: 0), list: list) == text else {
      throw problem
    }
    return key
  }

  private static func check(_ list: String, _ key: [UInt8]) -> UInt32 {
    let bytes = Array(list.utf8) + [0] + key
    return UInt32(truncatingIfNeeded: bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) })
  }
}
