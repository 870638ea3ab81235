// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
public import ConfigLookupNetwork
public import Foundation
public import TestSupport

/// The server's executable, as a process.
public final class ServerProcess: Sendable {
  /// The process.
  public let child: ChildProcess

  /// Starts the server.
  ///
  /// - Parameters:
  ///   - arguments: the flags.
  ///   - environment: additional environment variables.
  /// - Throws: ``TestFailure`` if the process cannot be started.
  public init(_ arguments: [String], environment: [String: String] = [:]) throws {
    // Tests do not wait a second for a PROGRESS.
    let usual = ["CONFIG_LOOKUP_MIN_PROGRESS_INTERVAL_MS": "10"]
    child = try ChildProcess(
      builtExecutable("config-lookup-server"), arguments, environment: usual.merging(environment) { $1 })
  }

  /// Waits until the server logs that it is ready.
  ///
  /// - Returns: the address of lookups and watches, from that log line.
  /// - Throws: ``TestFailure`` if the line does not appear in time.
  public func address() throws -> HostAndPort {
    let line = try child.waitForLine("the server is ready") { $0.contains("\"event\":\"ready\"") }
    let fields = try jsonObject(line)
    guard let address = fields["listen"] as? String else { throw TestFailure("no address in: \(line)") }
    return try HostAndPort(address)
  }

  /// Connects to the server once it is ready, over the framed protocol.
  ///
  /// - Returns: the client.
  /// - Throws: ``TestFailure``, or the error of the connection.
  public func client() throws -> TestClient { try TestClient(address()) }

  /// Counts the open descriptors of the process.
  ///
  /// - Returns: their number.
  /// - Throws: an error if the process has ended.
  public func descriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/fd").count
  }

  /// Reads the resident set size of the process.
  ///
  /// - Returns: the size in MiB.
  /// - Throws: an error if the process has ended.
  public func residentMiB() throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/statm", encoding: .utf8)
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { throw TestFailure("no statm: \(text)") }
    return pages * 4096 / 1_048_576
  }
}

/// Parses a line that must be a JSON object.
///
/// - Parameter line: the line.
/// - Returns: the object.
/// - Throws: an error if the line is not a JSON object.
public func jsonObject(_ line: String) throws -> [String: Any] {
  let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
  guard let object = value as? [String: Any] else { throw TestFailure("no JSON object: \(line)") }
  return object
}

/// The exit status of a process, with its output.
public struct ProcessEnd: Sendable {
  /// The exit status.
  public var status: ChildProcess.Status
  /// The lines of standard output.
  public var output: [String]
  /// The text of standard error.
  public var errors: String

  /// Runs an executable of this package until it ends.
  ///
  /// - Parameters:
  ///   - name: the name of the executable.
  ///   - arguments: the arguments.
  ///   - environment: additional environment variables.
  ///   - folder: the working directory; nil for the current one.
  /// - Throws: ``TestFailure`` if the process cannot be started or does not end in time.
  public init(_ name: String, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil) throws {
    let child = try ChildProcess(builtExecutable(name), arguments, environment: environment, folder: folder)
    status = try child.waitForExit()
    output = child.outputLines
    errors = child.errorLines.joined(separator: "\n")
  }
}
