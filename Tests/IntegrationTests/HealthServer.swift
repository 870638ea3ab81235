// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// A server as a process, which is queried over HTTP.
struct HealthServer {
  let child: ChildProcess
  let address: HostAndPort
  let rpcAddress: HostAndPort

  /// Starts the server and waits until it listens.
  init(uri: String, _ flags: String..., environment: [String: String] = [:]) throws {
    child = try ChildProcess(
      builtExecutable("config-lookup-server"),
      ["--mongodb-uri", uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"] + flags,
      environment: environment)
    let fields = try jsonObject(child.waitForLine("listening") { $0.contains("\"event\":\"listening\"") })
    address = try HostAndPort(#require(fields["http_listen"] as? String))
    rpcAddress = try HostAndPort(#require(fields["listen"] as? String))
  }

  func waitUntilReady() throws {
    try child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
  }

  func metrics() throws -> [String: Double] { try IntegrationTests.metrics(address) }

  func get(_ path: String) throws -> HTTPAnswer { try askHTTP(address, "GET \(path) HTTP/1.0") }

  /// Ends the process at once, in any state.
  func end() {
    child.send(SIGKILL)
    _ = try? child.waitForExit()
  }
}
