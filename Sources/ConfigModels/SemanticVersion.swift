/// `X.Y.Z`, whole numbers, as a document's version must be.
public struct SemanticVersion: Sendable, Hashable {
  public let major: Int64
  public let minor: Int64
  public let patch: Int64
  /// As the document writes it: `1.02.0` stays so.
  public let text: String

  /// Nil unless `text` is three runs of ASCII digits with dots between, each small enough for an Int64.
  public init?(_ text: String) {
    var numbers = SIMD4<Int64>()
    var place = 0
    var hasDigits = false
    for byte in text.utf8 {
      if byte == UInt8(ascii: "."), hasDigits, place < 2 {
        place += 1
        hasDigits = false
        continue
      }
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      let (tenfold, isTooLarge) = numbers[place].multipliedReportingOverflow(by: 10)
      let (number, overflow) = tenfold.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
      if isTooLarge || overflow { return nil }
      numbers[place] = number
      hasDigits = true
    }
    guard place == 2, hasDigits else { return nil }
    (major, minor, patch) = (numbers[0], numbers[1], numbers[2])
    self.text = text
  }
}
