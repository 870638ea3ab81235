// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport

/// Runs the cases of Tests/Interop.
enum Interop {
  /// A server's process and its address.
  struct Server {
    let process: ServerProcess
    let address: HostAndPort
  }

  /// The Python stubs of proto/, generated once.
  private static let stubs = Result<URL, any Error> {
    let folder = try makeTemporaryFolder()
    atexit { Interop.removeStubs() }
    try ChildProcess.run(
      PythonEnvironment.command("python"), ["examples/python/make_stubs.py", folder.path], folder: packageRoot)
    return folder
  }

  private static func removeStubs() {
    if case .success(let folder) = stubs { try? FileManager.default.removeItem(at: folder) }
  }

  /// Starts an example of examples/python.
  static func startExample(_ script: String, _ arguments: [String]) throws -> ChildProcess {
    try ChildProcess(
      PythonEnvironment.command("python"), ["-B", "examples/python/\(script)"] + arguments,
      environment: ["PYTHONPATH": stubs.get().path], folder: packageRoot)
  }

  /// Starts an example in a shell: its name and arguments, followed by a redirection.
  static func startExample(_ words: [String], redirection: String) throws -> ChildProcess {
    let command = "\"$0\" -B \"examples/python/$1\" \"${@:2}\" \(redirection)"
    return try ChildProcess(
      "/bin/bash", ["-c", command, try PythonEnvironment.command("python")] + words,
      environment: ["PYTHONPATH": stubs.get().path], folder: packageRoot)
  }

  /// Runs an example until it ends, and returns the lines of its output.
  static func runExample(_ script: String, _ arguments: [String]) throws -> [String] {
    try ChildProcess.run(
      PythonEnvironment.command("python"), ["-B", "examples/python/\(script)"] + arguments,
      environment: ["PYTHONPATH": stubs.get().path], folder: packageRoot)
  }

  /// Starts a server over the deployment's collections and waits until it is warm.
  static func server(_ test: Deployment, _ flags: [String] = []) throws -> Server {
    let process = try ServerProcess(test.arguments + flags)
    return Server(process: process, address: try process.address())
  }

  /// Starts a server whose database does not exist.
  static func coldServer(_ test: Deployment) throws -> Server {
    let uri = "mongodb://127.0.0.1:\(try freePort())/?serverSelectionTimeoutMS=200"
    let process = try ServerProcess(test.arguments + ["--mongodb-uri", uri])
    let line = try process.child.waitForLine("listening") { $0.contains("\"event\":\"listening\"") }
    guard let address = try jsonObject(line)["listen"] as? String else { throw TestFailure("no address in: \(line)") }
    return Server(process: process, address: try HostAndPort(address))
  }

  /// Runs a case until it ends.
  static func run(
    _ script: String, _ name: String, _ test: Deployment, _ servers: [Server], _ more: [String: Any] = [:]
  ) throws {
    try finish(start(script, name, test, servers, more))
  }

  /// - Parameter more: additional settings of the case, beside those of every case.
  static func start(
    _ script: String, _ name: String, _ test: Deployment, _ servers: [Server], _ more: [String: Any] = [:]
  ) throws -> ChildProcess {
    let common: [String: Any] = [
      "uri": test.database.uri, "database": test.name, "stubs": try stubs.get().path,
      "servers": servers.map { ["address": "\($0.address)", "pid": Int($0.process.child.pid)] },
    ]
    let file = try stubs.get().appendingPathComponent("\(test.name)-\(name).json")
    try JSONSerialization.data(withJSONObject: common.merging(more) { $1 }).write(to: file)
    return try ChildProcess(
      PythonEnvironment.command("python"), ["-B", "Tests/Interop/\(script)", name, file.path], folder: packageRoot)
  }

  /// Makes one unary call over gRPC.
  static func grpcHealthCheck(_ address: HostAndPort) throws {
    let code = """
      import sys, grpc
      from grpc_health.v1 import health_pb2, health_pb2_grpc
      with grpc.insecure_channel(sys.argv[1]) as channel:
          health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
      """
    try ChildProcess.run(PythonEnvironment.command("python"), ["-c", code, "\(address)"])
  }

  static func finish(_ client: ChildProcess) throws {
    let status = try client.waitForExit(timeout: .seconds(150))
    guard status == .exited(0), client.outputLines.last?.hasPrefix("passed ") == true else {
      throw TestFailure("\(status). Its last lines:\n\(client.lastLines)")
    }
    // The measurements of the case, if it makes any.
    for line in client.outputLines.dropLast() { print(line) }
  }
}
