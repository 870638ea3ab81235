// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The Python environment that script/bootstrap creates.
public enum PythonEnvironment {
  /// The same folder as in script/bootstrap.
  private static var folder: URL {
    let environment = ProcessInfo.processInfo.environment
    if let own = environment["CONFIG_LOOKUP_VENV"], !own.isEmpty { return URL(fileURLWithPath: own) }
    let home = FileManager.default.homeDirectoryForCurrentUser
    let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0) }
    return (cache ?? home.appendingPathComponent(".cache")).appendingPathComponent("config-lookup/venv")
  }

  /// Returns the path of a command of the environment.
  ///
  /// - Parameter name: the name of the command, e.g. `python`.
  /// - Returns: the path.
  /// - Throws: ``TestFailure`` if the command is missing, because a test must not pass in that case.
  public static func command(_ name: String) throws -> String {
    let path = folder.appendingPathComponent("bin").appendingPathComponent(name).path
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw TestFailure("\(path) is missing: run script/bootstrap")
    }
    return path
  }
}
