// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import Testing

@testable import GRPCTransport

struct GRPCTextTests {
  @Test(
    arguments: [
      ("1n", 1), ("25u", 25_000), ("100m", 100_000_000), ("2S", 2_000_000_000), ("3M", 180_000_000_000),
      ("1H", 3_600_000_000_000), ("0S", 0), ("007m", 7_000_000), ("99999999n", 99_999_999),
      // The longest timeout that can be written does not fit into 64 bits.
      ("99999999H", 3_600_000_000_000_000_000),
    ] as [(String, UInt64)])
  func timeouts(text: String, nanoseconds: UInt64) {
    #expect(lent(text) { GRPCText.timeout($0) } == nanoseconds)
  }

  @Test(arguments: ["", "S", "1", "12", "1s", "-1S", "+1S", "1 S", " 1S", "1.5S", "0x1S", "1SS", "999999999S", "１S"])
  func whatIsNoTimeout(text: String) {
    #expect(lent(text) { GRPCText.timeout($0) } == nil)
  }

  @Test(arguments: [
    ("no key \"a\" ~", "no key \"a\" ~"), ("100%", "100%25"), ("ä", "%C3%A4"), ("a\r\nb: c", "a%0D%0Ab: c"),
    ("\u{7f}", "%7F"), ("🗝", "%F0%9F%97%9D"), ("", ""),
  ])
  func messagesAreOfPrintableASCII(text: String, encoded: String) {
    var out: [UInt8] = []
    GRPCText.percentEncoded(text, to: &out)
    #expect(String(decoding: out, as: UTF8.self) == encoded)
  }

  /// The examples of RFC 4648, section 10, without padding.
  @Test(arguments: [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
    ("foobar", "Zm9vYmFy"), ("\u{3fbf}\u{fffe}", "476/77++"),
  ])
  func base64(text: String, encoded: String) {
    var out: [UInt8] = []
    GRPCText.base64(Array(text.utf8), to: &out)
    #expect(String(decoding: out, as: UTF8.self) == encoded)
    #expect(GRPCText.isBase64(encoded.utf8))
    let padding = String(repeating: "=", count: (4 - encoded.count % 4) % 4)
    #expect(GRPCText.isBase64((encoded + padding).utf8))
  }

  @Test(arguments: ["Z", "Zm9vY", "Zg=", "Zg===", "=", "Z===", "Zm 9", "Zm-_", "Zm9v====", "Z=g="])
  func whatIsNoBase64(text: String) {
    #expect(!GRPCText.isBase64(text.utf8))
  }

  @Test func keysOfMetadata() {
    for key in ["a", "x-request-id", "a.b_c-1", "trace-bin"] { #expect(lent(key) { GRPCText.isKey($0) }, "\(key)") }
    for key in ["", "a b", "A", "a:", "ä", "a!", "a/b"] { #expect(!lent(key) { GRPCText.isKey($0) }, "\(key)") }
  }
}

/// Passes the bytes of a text to `body`.
func lent<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
  Array(text.utf8).withUnsafeBytes(body)
}
