// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import TestSupport
internal import Testing

/// Checks that the table in docs/internals/architecture.md, Package.swift and the imports agree on the modules that
/// each target may import.
@Suite struct ArchitectureTests {
  @Test func tableAndPackageAgree() throws {
    let table = try Architecture.table()
    let package = try Architecture.package()
    for target in Set(table.keys).union(package.keys).sorted() {
      let inTable = table[target].map { $0.sorted().joined(separator: ", ") } ?? "no row"
      let inPackage = package[target].map { $0.sorted().joined(separator: ", ") } ?? "no target"
      #expect(inTable == inPackage, "\(target): docs/internals/architecture.md and Package.swift must say the same")
    }
  }

  @Test func importsAreThoseOfTheTable() throws {
    expectNone(Architecture.breaches(in: SourceTree.sources, table: try Architecture.table()))
  }

  /// Package.swift has no dependency that the target does not import.
  @Test func everyDependencyIsUsed() throws {
    let table = try Architecture.table()
    for (target, allowed) in table {
      let files = SourceTree.sources.filter { $0.target == target }
      // A target with this little code is only a placeholder.
      guard files.reduce(0, { $0 + $1.lines.joined().count }) > 40 else { continue }
      let used = Set(files.flatMap { Architecture.imports(of: $0).map(\.module) })
      let unused = allowed.subtracting(used).subtracting(Architecture.generated).sorted()
      #expect(
        unused == [],
        "\(target) imports none of these: take them out of docs/internals/architecture.md and Package.swift")
    }
  }

  /// Only one target imports each C library of the distribution.
  @Test func eachCLibraryHasOneOwner() throws {
    let table = try Architecture.table()
    for (library, owner) in [
      "CBSON": "ConfigLookupBSON", "CMongoC": "MongoSource", "CLibevent": "ConfigLookupNetwork",
      "COpenSSL": "ConfigLookupTLS",
    ] {
      let users = table.filter { $0.value.contains(library) }.keys.sorted()
      #expect(users == [owner], "only \(owner) may import \(library)")
    }
    for (target, allowed) in table {
      let libraries = allowed.filter { Architecture.isCLibrary($0) }.subtracting(Architecture.generated)
      #expect(libraries.count <= 1, "\(target) imports \(libraries.sorted()): two C libraries in one target can clash")
    }
  }

  /// No target above the document source depends on MongoDB, no target below the transports depends on sockets, and no
  /// target depends on itself.
  @Test func dataFlowsOneWay() throws {
    let table = try Architecture.table()
    let mongo = table.filter { $0.value.contains("MongoSource") }.keys.sorted()
    #expect(Set(mongo).isSubset(of: ["ConfigLookupServer", "CommandLineTool"]))
    for target in [
      "ConfigLookupCore", "ConfigLookupBSON", "ChangeStreamCache", "MongoSource", "ConfigModels", "ConfigLookupRPC",
      "LookupService",
    ] {
      #expect(table[target]?.contains("ConfigLookupNetwork") == false, "\(target) must not know a socket")
    }
    for target in table.keys.sorted() {
      #expect(
        !Architecture.recordRejection(from: target, in: table).contains(target), "\(target) reaches itself: a cycle")
    }
  }

  @Test func canFail() throws {
    let table = ["A": Set(["ConfigLookupCore"]), "ConfigLookupCore": [], "B": []]
    let text = "internal import ConfigLookupCore\nimport Foundation\n@preconcurrency internal import struct B.Thing\n"
    let file = SourceFile(path: "Sources/A/File.swift", text: text)
    #expect(Architecture.breaches(in: [file], table: table).map(\.line) == [3])
    #expect(Architecture.recordRejection(from: "A", in: ["A": ["B"], "B": ["A"]]).contains("A"))
  }
}

enum Architecture {
  /// The generated C code of the messages, and the library that it needs. A target may import both.
  static let generated: Set = ["CConfigLookupProto", "CProtobufC"]

  /// The modules that each target may import, from the rows of docs/internals/architecture.md.
  static func table() throws -> [String: Set<String>] {
    let page = try text("docs/internals/architecture.md")
    var table: [String: Set<String>] = [:]
    for line in page.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map(String.init)
      guard cells.count >= 3, let target = names(in: cells[0]).first else { continue }
      table[target] = Set(names(in: cells[2]))
    }
    guard !table.isEmpty else { throw TestFailure("docs/internals/architecture.md has no table of targets") }
    return table
  }

  /// The dependencies of each target, from Package.swift.
  static func package() throws -> [String: Set<String>] {
    let manifest = try text("Package.swift")
    let declaration = try Regex(
      #"(?:library\(\s*"|\.(?:target|executableTarget)\(\s*name:\s*")([\w-]+)",\s*(?:dependencies:\s*)?\[([^\]]*)\]"#,
      as: (Substring, Substring, Substring).self)
    var targets: [String: Set<String>] = [:]
    for match in manifest.matches(of: declaration) {
      // Targets that are only for tests have their folders in Tests. They are not checked.
      let folder = packageRoot.appendingPathComponent("Sources/\(match.1)")
      guard FileManager.default.fileExists(atPath: folder.path) else { continue }
      let parts = match.2.split(separator: "\"", omittingEmptySubsequences: false)
      targets[String(match.1)] = Set(stride(from: 1, to: parts.count, by: 2).map { String(parts[$0]) })
    }
    return targets
  }

  /// The imports of this project's modules and of C libraries that the table does not allow.
  static func breaches(in files: [SourceFile], table: [String: Set<String>]) -> [Breach] {
    files.flatMap { file in
      imports(of: file).compactMap { line, module in
        guard let target = file.target, module != target, table[module] != nil || isCLibrary(module) else { return nil }
        guard table[target]?.contains(module) != true else { return nil }
        let advice = "\(target) may not import \(module): data flows one way, see docs/internals/architecture.md"
        return Breach(file: file.path, line: line, advice: advice)
      }
    }
  }

  static func imports(of file: SourceFile) -> [(line: Int, module: String)] {
    file.lines.enumerated().compactMap { index, line in
      let words = line.split(separator: " ").map(String.init)
      guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
        words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "private", "package"].contains($0) })
      else { return nil }
      let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      guard let name = words[(at + 1)...].first(where: { !kinds.contains($0) }) else { return nil }
      return (index + 1, String(name.prefix { $0 != "." }))
    }
  }

  static func recordRejection(from target: String, in table: [String: Set<String>]) -> Set<String> {
    var seen: Set<String> = []
    var next = table[target] ?? []
    while let one = next.popFirst() {
      if seen.insert(one).inserted { next.formUnion(table[one] ?? []) }
    }
    return seen
  }

  static func isCLibrary(_ module: String) -> Bool {
    FileManager.default.fileExists(
      atPath: packageRoot.appendingPathComponent("Sources/\(module)/module.modulemap").path)
  }

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: packageRoot.appendingPathComponent(path), encoding: .utf8)
  }

  private static func names(in cell: String) -> [String] {
    let parts = cell.split(separator: "`", omittingEmptySubsequences: false).map(String.init)
    return stride(from: 1, to: parts.count, by: 2).map { parts[$0] }
  }
}
