// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import Foundation
internal import MongoModel
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// A model of MongoDB with three collections, and the real server over it.
final class ScenarioBench {
  let model: MongoModel
  private(set) var server: ServerProcess?
  private var ownClient: TestClient?

  static let agents = "t.agents"

  init(_ model: MongoModel) {
    self.model = model
  }

  /// Starts the server, without waiting for it.
  func launch(_ arguments: [String] = [], uriOptions: String = "") throws {
    let uri = model.uri + (model.uri.contains("?") ? "&" : "?") + "serverSelectionTimeoutMS=2000" + uriOptions
    server = try ServerProcess(
      [
        "--mongodb-uri", uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--agent-configs",
        Self.agents, "--prompts", "t.prompts", "--source-configs", "t.sources", "--threads", "1", "--log-format",
        "json",
        "--drain-seconds", "1",
      ] + arguments)
  }

  /// Starts the server and waits until it is ready.
  func start(_ arguments: [String] = [], uriOptions: String = "") throws {
    try launch(arguments, uriOptions: uriOptions)
    _ = try client
  }

  /// A client of the server, which is waited for until it is ready.
  var client: TestClient {
    get throws {
      if let ownClient { return ownClient }
      guard let server else { throw TestFailure("no server was started") }
      var line: String?
      try poll("the server is ready") {
        line = server.child.errorLines.first { $0.contains("\"event\":\"ready\"") }
        return line != nil
      }
      guard let line, let address = try jsonObject(line)["listen"] as? String else {
        throw TestFailure("no address: \(line ?? "no line")")
      }
      let made = try TestClient(HostAndPort(address))
      ownClient = made
      return made
    }
  }

  var address: HostAndPort {
    get throws {
      _ = try client
      return try server?.address() ?? HostAndPort("127.0.0.1:1")
    }
  }

  /// The log of the server, for a message.
  var log: String { server?.child.lastLines ?? "" }

  func close() {
    server?.child.send(SIGKILL)
    _ = try? server?.child.waitForExit()
    model.close()
  }

  // MARK: Documents

  /// Sets the description of an agent.
  @discardableResult
  func describe(_ agent: String, _ text: String, member: Int? = nil, shard: Int = 0) throws -> Revision {
    try model.update(
      Self.agents, Documents.selector("\(agent):1.0.0"), Documents.set("description", text), member: member,
      shard: shard)
  }

  /// The description of an agent, or the status of the reply.
  func content(_ agent: String, minRevision: Revision = .none) throws -> String {
    let reply = try client.agent(agent, .init(minRevision: minRevision.rawValue))
    return reply.code == .ok ? reply.content : "\(reply.code)"
  }

  /// Waits until an agent has a description. Returns false if that takes too long.
  func waits(_ agent: String, _ text: String, seconds: Double) throws -> Bool {
    let end = soon(.seconds(seconds))
    while MonotonicTime.now < end {
      if try content(agent) == text { return true }
      usleep(20_000)
    }
    return false
  }
}

/// Runs a scenario with a deployment and a server, which are ended afterwards.
func withBench(_ model: MongoModel, _ body: (ScenarioBench) throws -> Void) throws {
  let bench = ScenarioBench(model)
  defer { bench.close() }
  do { try body(bench) } catch { throw TestFailure("\(error). The last lines of the server:\n\(bench.log)") }
}
