internal import Foundation

/// The Python environment that script/bootstrap makes.
public enum PythonEnvironment {
  /// The same folder as in script/bootstrap.
  private static var folder: URL {
    let environment = ProcessInfo.processInfo.environment
    if let own = environment["CONFIG_LOOKUP_VENV"], !own.isEmpty { return URL(fileURLWithPath: own) }
    let home = FileManager.default.homeDirectoryForCurrentUser
    let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0) }
    return (cache ?? home.appendingPathComponent(".cache")).appendingPathComponent("config-lookup/venv")
  }

  /// The path of one of its commands, `python` say. Throws when it is not there: a test must not pass for want of it.
  public static func command(_ name: String) throws -> String {
    let path = folder.appendingPathComponent("bin").appendingPathComponent(name).path
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw TestFailure("\(path) is missing: run script/bootstrap")
    }
    return path
  }
}
