public import Foundation

/// The folder of Package.swift.
public let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// An executable of this package, as built beside the tests, or the program, that run.
public func builtExecutable(_ name: String) throws -> String {
  let bundle = CommandLine.arguments.last { $0.hasSuffix(".xctest") }
  let besides =
    bundle.map(URL.init(fileURLWithPath:)) ?? URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  let folders = [besides.deletingLastPathComponent(), packageRoot.appendingPathComponent(".build/debug")]
  let paths = folders.map { $0.appendingPathComponent(name).path }
  guard let path = paths.first(where: FileManager.default.isExecutableFile(atPath:)) else {
    throw TestFailure("\(paths[0]) has not been built")
  }
  return path
}

/// An empty folder of its own, deleted afterwards.
public func temporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = try makeTemporaryFolder()
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}

/// An empty folder of its own, deleted afterwards.
public func temporaryFolder<Result>(
  isolation: isolated (any Actor)? = #isolation, _ body: (URL) async throws -> Result
) async throws -> Result {
  let folder = try makeTemporaryFolder()
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(folder)
}

/// An empty folder of its own; whoever asks for it deletes it.
public func makeTemporaryFolder() throws -> URL {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("config-lookup-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return folder
}
