// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import TestSupport
internal import Testing

struct LoggerTests {
  /// Every control character, and all other characters that are dangerous in a line.
  private static let nasty =
    String(String.UnicodeScalarView((0...0x20).compactMap { Unicode.Scalar($0) }))
    + "\r\n\"\\\u{7f}\u{85}\u{9b}é\u{2028}\u{1f600}"

  private func lines(_ format: Logger.Format, level: Logger.Level = .debug, _ body: (Logger) -> Void) -> [String] {
    let kept = Locked<[String]>([])
    body(Logger(level: level, format: format) { line in kept.withLock { $0.append(line) } })
    return kept.withLock { $0 }
  }

  private func object(_ line: String) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test func everyKindOfFieldIsJSON() throws {
    let line = try #require(
      lines(.json) {
        $0.info(
          "event", "message",
          [
            "text": "a", "integer": -7, "unsigned": .unsigned(.max), "number": .number(0.25),
            "tiny": .number(.leastNonzeroMagnitude),
            "huge": .number(1.5e300), "nan": .number(.nan), "infinite": .number(-.infinity), "yes": true,
            "least": .integer(.min),
          ])
      }.first)
    let object = try object(line)
    #expect(object["level"] as? String == "info")
    #expect(object["event"] as? String == "event")
    #expect(object["message"] as? String == "message")
    #expect(object["text"] as? String == "a")
    #expect(object["integer"] as? Int == -7)
    #expect((object["unsigned"] as? NSNumber)?.uint64Value == .max)
    #expect(object["number"] as? Double == 0.25)
    #expect(object["tiny"] as? Double == .leastNonzeroMagnitude)
    #expect(object["huge"] as? Double == 1.5e300)
    #expect(object["nan"] is NSNull)
    #expect(object["infinite"] is NSNull)
    #expect(object["yes"] as? Bool == true)
    #expect((object["least"] as? NSNumber)?.int64Value == .min)
    let time = try #require(object["time"] as? String)
    #expect(try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(time).timeIntervalSinceNow > -60)
  }

  @Test func whateverStandsInATextTheLineIsJSON() throws {
    let line = try #require(lines(.json) { $0.error(Self.nasty, Self.nasty, [Self.nasty: .string(Self.nasty)]) }.first)
    #expect(!line.unicodeScalars.contains { $0.value < 0x20 })
    let object = try object(line)
    #expect(object["event"] as? String == Self.nasty)
    #expect(object["message"] as? String == Self.nasty)
    #expect(object[Self.nasty] as? String == Self.nasty)
  }

  @Test(arguments: [
    "a\nb", "a\r\nb", "a\rb", "a\u{2028}b", "a\u{85}b", "a\u{1b}[31mb", "a\u{0}b", "\t\u{7f}\u{9b}\u{2029}",
  ])
  func aTextLineIsOneLine(text: String) throws {
    for line in [
      lines(.text) { $0.info("event", text) }, lines(.text) { $0.info("event", "m", ["field": .string(text)]) },
    ].flatMap({ $0 }) {
      // Neither a newline nor a character that moves the cursor of a terminal.
      let bad = line.unicodeScalars.filter {
        CharacterSet.newlines.contains($0) || $0.properties.generalCategory == .control
      }
      #expect(bad.isEmpty, "\(quoted(line))")
    }
  }

  @Test func aTextLineShowsItsFields() throws {
    let line = try #require(
      lines(.text) {
        $0.warning(
          "event", "message",
          ["plain": "a", "spaced": "a b", "quote": "a\"b", "n": 3, "u": .unsigned(4), "d": .number(0.5), "b": false])
      }.first)
    #expect(line.hasSuffix(" warning event: message plain=a spaced=\"a b\" quote=\"a\\\"b\" n=3 u=4 d=0.5 b=false"))
  }

  @Test func whatIsBelowTheLevelIsNotWritten() {
    func all(_ logger: Logger) {
      logger.debug("d", "")
      logger.info("i", "")
      logger.warning("w", "")
      logger.error("e", "")
    }
    for (index, level) in Logger.Level.allCases.enumerated() {
      #expect(lines(.json, level: level, all).count == 4 - index)
    }
  }
}
