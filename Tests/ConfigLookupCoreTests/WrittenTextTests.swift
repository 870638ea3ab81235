// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import TestSupport
internal import Testing

@Suite struct WrittenTextTests {
  @Test(arguments: [
    ("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\r", "a"), ("\r\na\r\n\r\n", "a"), (" \t a \u{a0}", "a"),
    ("\u{feff}a", "a"), (" \u{feff} a\u{2028}", "a"), ("", ""), (" \r\n", ""), ("\u{feff}", ""), ("é", "é"),
  ]) func valuesAreTaken(text: String, wanted: String) throws {
    let (ofText, ofBytes) = (try WrittenText.value(text), try WrittenText.value(Array(text.utf8)))
    #expect(ofText == wanted && ofBytes == wanted)
  }

  @Test(arguments: [
    ("a\0", "NUL"), ("\0", "NUL"), ("a\nb", "line break"), ("a\r\nb", "line break"), ("a\u{85}b", "line break"),
    ("a\tb", "U+0009"), ("a\u{1b}[0m", "U+001B"), ("a\u{fffd}", "UTF-8"),
  ]) func valuesAreRefused(text: String, words: String) {
    let problem = #expect(throws: WrittenTextProblem.self) { try WrittenText.value(text) }
    #expect(problem?.description.contains(words) == true, "\(String(describing: problem))")
  }

  /// For Swift, CRLF is one `Character`, so a split at "\n" does not find it.
  @Test(arguments: ["a b\n\n c\t \n", "a b\r\n\r\n c\t \r\n", "a b\r\n\n c\t \r", "\u{feff}a b\r\r c\t\r\n"])
  func linesEndInEveryWay(text: String) throws {
    let lines = try WrittenText.lines(Array(text.utf8))
    #expect(lines == ["a b", "", "c", ""])
  }

  @Test(
    arguments: [
      ([0xff, 0xfe, 0x61, 0], "UTF-16"), ([0xfe, 0xff, 0, 0x61], "UTF-16"), ([0x61, 0, 0x62], "NUL"),
      ([0x61, 0xff], "not valid UTF-8"), ([0x61, 0x0d, 0x0a, 0x07], "line 2 contains the control character U+0007"),
    ] as [([UInt8], String)]) func linesAreRefused(bytes: [UInt8], words: String)
  {
    let problem = #expect(throws: WrittenTextProblem.self) { try WrittenText.lines(bytes) }
    #expect(problem?.description.contains(words) == true, "\(String(describing: problem))")
  }

  @Test func filesOfOneValue() throws {
    try temporaryFolder { folder in
      let path = folder.appendingPathComponent("token").path
      func read(_ text: String) throws -> String {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return try readValueFile(path)
      }
      let token = try read("\u{feff}s3cret\r\n")
      #expect(token == "s3cret")
      for text in ["", "\n", "a\nb"] {
        let problem = #expect(throws: FileProblem.self) { try read(text) }
        #expect(problem?.description.contains("one line") == true)
      }
      let tooLarge = #expect(throws: FileProblem.self) { try read(String(repeating: "a", count: 4097)) }
      #expect(tooLarge?.description.contains("4096") == true)
    }
  }

  @Test func nearNames() {
    let names = ["listen", "http-listen", "ttl-seconds", "tlsCAFile", "max-queued-keys", "tls-key"]
    for (name, wanted) in [
      ("LISTEN", "listen"), ("lisetn", "listen"), ("list", "listen"), ("listening", "listen"),
      ("ttl_seconds", "ttl-seconds"),
      ("tlsCAFiel", "tlsCAFile"), ("tlscafile", "tlsCAFile"), ("max-queue-keys", "max-queued-keys"),
    ] {
      #expect(nearestName(to: name, among: names) == wanted, "\(name)")
    }
    for name in ["frobnicate", "", "x"] { #expect(nearestName(to: name, among: names) == nil, "\(name)") }
  }
}
