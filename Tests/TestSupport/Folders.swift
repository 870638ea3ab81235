// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// The folder that contains Package.swift.
public let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Returns the path of an executable of this package that was built together with the running tests or program.
///
/// - Parameter name: the name of the executable.
/// - Returns: its path.
/// - Throws: ``TestFailure`` if it has not been built.
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

/// Runs a closure with a new empty folder, which is deleted afterwards.
///
/// - Parameter body: the closure.
/// - Returns: the closure's result.
/// - Throws: the closure's error, or an error of the file system.
public func temporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = try makeTemporaryFolder()
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}

/// Runs an asynchronous closure with a new empty folder, which is deleted afterwards.
///
/// - Parameters:
///   - isolation: the actor on which the closure runs.
///   - body: the closure.
/// - Returns: the closure's result.
/// - Throws: the closure's error, or an error of the file system.
public func temporaryFolder<Result>(
  isolation: isolated (any Actor)? = #isolation, _ body: (URL) async throws -> Result
) async throws -> Result {
  let folder = try makeTemporaryFolder()
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(folder)
}

/// Creates a new empty folder. The caller must delete it.
///
/// - Returns: the folder.
/// - Throws: an error of the file system.
public func makeTemporaryFolder() throws -> URL {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("config-lookup-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return folder
}
