internal import Core
internal import Foundation
internal import Network
internal import TestSupport
internal import Testing

/// The server's executable, as a process.
final class ServerProcess {
  let child: ChildProcess

  init(_ arguments: [String], environment: [String: String] = [:]) throws {
    child = try ChildProcess(builtExecutable("config-lookup-server"), arguments, environment: environment)
  }

  /// Waits for the line that says that it is ready, and gives the address in it.
  func address() throws -> HostAndPort {
    let line = try child.waitForLine("the server is ready") { $0.contains("\"event\":\"ready\"") }
    let fields = try jsonObject(line)
    return try HostAndPort(try #require(fields["listen"] as? String))
  }

  func client() throws -> TestClient { try TestClient(address()) }

  /// How many descriptors the process has open.
  func descriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/fd").count
  }

  /// What the process holds in memory, in MiB.
  func residentMiB() throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/statm", encoding: .utf8)
    return try #require(Int(text.split(separator: " ")[1])) * 4096 / 1_048_576
  }
}

/// A line that must be a JSON object.
func jsonObject(_ line: String) throws -> [String: Any] {
  let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
  return try #require(value as? [String: Any], "no JSON object: \(line)")
}

/// The end of a process, with what it said.
struct ProcessEnd {
  var status: ChildProcess.Status
  var output: [String]
  var errors: String

  /// Runs an executable of this package to its end.
  init(_ name: String, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil) throws {
    let child = try ChildProcess(builtExecutable(name), arguments, environment: environment, folder: folder)
    status = try child.waitForExit()
    output = child.outputLines
    errors = child.errorLines.joined(separator: "\n")
  }
}
