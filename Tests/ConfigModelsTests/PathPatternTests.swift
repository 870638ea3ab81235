// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ConfigModels

/// The texts of all placeholders, e.g. `a=1 b=2`; nil without a match.
private func taken(_ pattern: String, _ path: String) throws -> String? {
  let pattern = try #require(PathPattern(pattern))
  return Array(path.utf8).withUnsafeBytes { pattern.fields(of: $0, extracting: pattern.names) }
    .map { $0.map { "\($0.key)=\($0.value)" }.joined(separator: " ") }
}

@Suite struct PathPatternTests {
  @Test(
    arguments: [
      (
        "results/{plantation_id}/{crop}/{batch_id}.json", "results/WM-4521/tea/batch-001.json",
        "batch_id=batch-001 crop=tea plantation_id=WM-4521"
      ),
      ("{farmer_id}/{event_id}.json", "WM-1/e.json", "event_id=e farmer_id=WM-1"),
      ("{farmer_id}/{event_id}.json", "WM-1/e.jsonx", nil), ("{farmer_id}/{event_id}.json", "x/WM-1/e.json", nil),
      ("{farmer_id}/{event_id}.json", "WM-1/.json", nil), ("{farmer_id}/{event_id}.json", "/e.json", nil),
      ("{farmer_id}/{event_id}.json", "WM-1/exjson", nil), ("{farmer_id}/{event_id}.json", "", nil),
      ("{farmer_id}/{event_id}.json", "WM-1", nil), ("a/{x}", "a/b/", nil), ("a/{x}/", "a/b/", "x=b"),
      // Characters of regular expressions are literal.
      ("a+(b)[c].*/{x}$", "a+(b)[c].*/1$", "x=1"), ("a+(b)[c].*/{x}$", "aab c.xx/1$", nil), ("^{x}|y", "^z|y", "x=z"),
      ("a\\d{x}", "a\\d5", "x=5"), ("a?c", "ac", nil), ("a?c", "a?c", ""),
      // Literals within a text that a placeholder could match.
      ("{a}_{b}", "x_y_z", "a=x_y b=z"), ("{a}-{b}-{c}", "1-2-3-4", "a=1-2 b=3 c=4"), ("{a}aa{b}", "aaaa", "a=a b=a"),
      ("{a}aa{b}", "aaa", nil), ("ab{x}ba", "aba", nil), ("ab{x}ba", "abba", nil), ("ab{x}ba", "abxba", "x=x"),
      ("{a}.json.json", "x.json.json.json", "a=x.json"), ("{a}aba{b}", "xabababay", "a=xabab b=y"),
      // Adjacent placeholders: each matches at least one character.
      ("{a}{b}", "xyz", "a=xy b=z"), ("{a}{b}", "x", nil), ("{a}{b}{c}", "xyz", "a=x b=y c=z"), ("{a}{b}", "x/y", nil),
      ("{a}{b}", "xé", "a=x b=é"), ("{a}{b}", "é", nil), ("{a}{b}", "🍃🍵", "a=🍃 b=🍵"),
      ("{a}é{b}", "éé\u{e9}é", "a=éé b=é"),
      // There is no placeholder.
      ("a/{not-a-word}", "a/{not-a-word}", ""), ("a/{not-a-word}", "a/x", nil), ("{}", "{}", ""), ("{}", "x", nil),
      ("a{b", "a{b", ""), ("a}b", "a}b", ""), ("{{x}}", "{1}", "x=1"), ("{{x}", "{1", "x=1"),
      ("{a b}{c}", "{a b}1", "c=1"),
      ("{größe}", "5", "größe=5"), ("{a/b}", "{a/b}", ""), ("", "", ""), ("", "x", nil), ("a//{x}", "a//1", "x=1"),
      ("a/{x}/b", "a//b", nil),
    ] as [(String, String, String?)])
  func `a path`(_ pattern: String, _ path: String, _ expected: String?) throws {
    #expect(try taken(pattern, path) == expected)
  }

  @Test func `only the fields that are wanted`() throws {
    let pattern = try #require(PathPattern("{a}/{b}/{c}"))
    let fields = Array("1/2/3".utf8).withUnsafeBytes { pattern.fields(of: $0, extracting: ["c", "a", "c", "zz"]) }
    #expect(fields == [StringPair(key: "a", value: "1"), StringPair(key: "c", value: "3")])
  }

  @Test func `a placeholder named twice is no pattern`() {
    #expect(PathPattern("{a}/{b}/{a}") == nil)
    #expect(PathPattern("{a}{a}") == nil)
    #expect(PathPattern("{a}/{A}") != nil)
    #expect(PathPattern("{not-a-word}/{not-a-word}") != nil)
  }

  @Test(arguments: [
    ("results/{f}/{b}.json", 14), ("{f}/{b}.json", 6), ("", 0), ("{x}", 0), ("é{x}{", 2), ("a//b", 4),
  ])
  func `literal characters are counted`(_ pattern: String, _ count: Int) {
    #expect(PathPattern(pattern)?.literalCount == count)
  }

  /// Compares every pattern of a small alphabet with every path, using a matcher that tries all possibilities.
  @Test func `agrees with trying everything`() throws {
    func strings(_ alphabet: [String], _ length: Int) -> [String] {
      length == 0 ? [""] : strings(alphabet, length - 1).flatMap { head in [head] + alphabet.map { head + $0 } }
    }
    let paths = Array(Set(strings(["a", "b", "/"], 6))).sorted()
    let shapes = Array(Set(strings(["a", "b", "/", "*"], 5))).sorted()
    for shape in shapes {
      var count = 0
      let text = shape.map { character -> String in
        guard character == "*" else { return String(character) }
        count += 1
        return "{p\(count)}"
      }.joined()
      let pattern = try #require(PathPattern(text))
      for path in paths {
        let bytes = Array(path.utf8)
        let captures = bytes.withUnsafeBytes { pattern.captures(of: $0) }
        // `#expect` for each of the million cases would take most of the time.
        if captures != greedy(Array(shape.utf8)[...], bytes[...]) { Issue.record("\(text) \(path)") }
      }
    }
  }

  @Test(arguments: [
    ("{a}a{b}a{c}a{d}a{e}a{f}a{g}b", String(repeating: "a", count: 65_536)),
    ("{a}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab{b}", String(repeating: "a", count: 65_536)),
    ("{a}baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{b}", String(repeating: "a", count: 65_536)),
    ("{a}/{b}/{c}x", String(repeating: "/", count: 65_536)),
    ("{a}{b}{c}{d}{e}{f}{g}{h}c", String(repeating: "ab", count: 32_768)),
    ("{a}abababababab{b}abababababac{c}", String(repeating: "ab", count: 32_768)),
  ])
  func `a hostile path costs steps in proportion to its length`(_ pattern: String, _ path: String) throws {
    let pattern = try #require(PathPattern(pattern))
    var steps = 0
    let captures = Array(path.utf8).withUnsafeBytes { pattern.captures(of: $0, steps: &steps) }
    #expect(captures == nil)
    #expect(steps <= 4 * (path.utf8.count + pattern.text.utf8.count))
  }
}

/// Matches by trying all possibilities, as a regular expression does: the earlier `*` takes as much as possible.
private func greedy(_ shape: ArraySlice<UInt8>, _ path: ArraySlice<UInt8>) -> [Range<Int>]? {
  guard let first = shape.first else { return path.isEmpty ? [] : nil }
  guard first == UInt8(ascii: "*") else {
    return path.first == first ? greedy(shape.dropFirst(), path.dropFirst()) : nil
  }
  let longest = path.prefix { $0 != UInt8(ascii: "/") }.count
  for length in stride(from: longest, to: 0, by: -1) {
    if let rest = greedy(shape.dropFirst(), path.dropFirst(length)) {
      return [path.startIndex..<(path.startIndex + length)] + rest
    }
  }
  return nil
}

@Suite struct GlobTests {
  @Test(arguments: [
    ("*.json", "a.json", true), ("*.json", ".json", true), ("*.json", "a.jsonx", false), ("*.json", "a.JSON", false),
    ("*", "", true), ("**", "x", true), ("?", "é", true), ("?", "", false), ("?", "ab", false), ("", "", true),
    ("", "a", false), ("a*b*c", "aXbXbc", true), ("a*b*c", "aXcXb", false), ("*a", "aaa", true),
    ("batch-[0-9].zip", "batch-7.zip", true), ("batch-[0-9].zip", "batch-x.zip", false),
    ("[!a-c]", "d", true), ("[!a-c]", "b", false), ("[^a-c]", "d", true), ("[^a-c]", "b", false), ("[]]", "]", true),
    ("[]-]", "-", true), ("[a-]", "-", true), ("[!]]", "a", true), ("[!]]", "]", false), ("[z-a]", "m", false),
    ("[abc", "[abc", true), ("a.b", "axb", false), ("(a|b)+", "(a|b)+", true), ("[à-é]", "ç", true),
    ("*[0-9]", "a1", true),
  ])
  func `a name`(_ glob: String, _ name: String, _ expected: Bool) {
    let glob = Glob(glob)
    #expect(Array("some/folder/\(name)".utf8).withUnsafeBytes { glob.matchesLastComponent(of: $0) } == expected)
    #expect(Array(name.utf8).withUnsafeBytes { glob.matchesLastComponent(of: $0) } == expected)
  }

  @Test func `many stars cost no more than pattern times name`() {
    let glob = Glob(String(repeating: "*a", count: 30) + "b")
    let name = String(repeating: "a", count: 20_000)
    var steps = 0
    #expect(!glob.matches(name, steps: &steps))
    #expect(steps <= 61 * 20_000)
  }
}
