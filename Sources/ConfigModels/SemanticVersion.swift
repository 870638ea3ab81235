/// `X.Y.Z`, whole numbers, as a document's version must be.
public struct SemanticVersion: Sendable, Hashable {
  public let major: Int64
  public let minor: Int64
  public let patch: Int64
  /// As the document writes it: `1.02.0` stays so.
  public let text: String

  /// Nil unless `text` is three runs of ASCII digits with dots between, each small enough for an Int64.
  public init?(_ text: String) {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3 else { return nil }
    var numbers: [Int64] = []
    for part in parts {
      // `Int64.init` alone would take a sign.
      guard !part.isEmpty, part.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
        let number = Int64(String(Substring(part)))
      else { return nil }
      numbers.append(number)
    }
    (major, minor, patch) = (numbers[0], numbers[1], numbers[2])
    self.text = text
  }
}
