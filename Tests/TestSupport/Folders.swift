public import Foundation

/// The folder of Package.swift.
public let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// An executable of this package, as built beside the tests that run.
public func builtExecutable(_ name: String) throws -> String {
  let bundle = CommandLine.arguments.last { $0.hasSuffix(".xctest") }
  let folder =
    bundle.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    ?? packageRoot.appendingPathComponent(".build/debug")
  let path = folder.appendingPathComponent(name).path
  guard FileManager.default.isExecutableFile(atPath: path) else { throw TestFailure("\(path) has not been built") }
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

func makeTemporaryFolder() throws -> URL {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("config-lookup-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return folder
}
