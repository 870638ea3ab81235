internal import Core
package import Foundation
package import Network
package import TestSupport

/// The server's executable, as a process.
package final class ServerProcess: Sendable {
  package let child: ChildProcess

  package init(_ arguments: [String], environment: [String: String] = [:]) throws {
    // Tests do not wait a second for a PROGRESS.
    let usual = ["CONFIG_LOOKUP_MIN_PROGRESS_INTERVAL_MS": "10"]
    child = try ChildProcess(
      builtExecutable("config-lookup-server"), arguments, environment: usual.merging(environment) { $1 })
  }

  /// Waits for the line that says that it is ready, and gives the address in it.
  package func address() throws -> HostAndPort {
    let line = try child.waitForLine("the server is ready") { $0.contains("\"event\":\"ready\"") }
    let fields = try jsonObject(line)
    guard let address = fields["listen"] as? String else { throw TestFailure("no address in: \(line)") }
    return try HostAndPort(address)
  }

  package func client() throws -> TestClient { try TestClient(address()) }

  /// How many descriptors the process has open.
  package func descriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/fd").count
  }

  /// What the process holds in memory, in MiB.
  package func residentMiB() throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/statm", encoding: .utf8)
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { throw TestFailure("no statm: \(text)") }
    return pages * 4096 / 1_048_576
  }
}

/// A line that must be a JSON object.
package func jsonObject(_ line: String) throws -> [String: Any] {
  let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
  guard let object = value as? [String: Any] else { throw TestFailure("no JSON object: \(line)") }
  return object
}

/// The end of a process, with what it said.
package struct ProcessEnd {
  package var status: ChildProcess.Status
  package var output: [String]
  package var errors: String

  /// Runs an executable of this package to its end.
  package init(_ name: String, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil) throws {
    let child = try ChildProcess(builtExecutable(name), arguments, environment: environment, folder: folder)
    status = try child.waitForExit()
    output = child.outputLines
    errors = child.errorLines.joined(separator: "\n")
  }
}
