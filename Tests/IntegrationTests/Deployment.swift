// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupServer
internal import Foundation
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The database that most tests share. Each test has collections of its own in it.
enum SharedDatabase {
  private static let started = Result<TestDatabase, any Error> {
    let database = try TestDatabase()
    atexit { SharedDatabase.close() }
    return database
  }
  /// The tear-downs of tests that are in progress: a server takes most of a second to stop, and the next test need not
  /// wait for it.
  private static let ends = Locked<[Handed<Background>]>([])

  static func get() throws -> TestDatabase { try started.get() }

  /// Stops a test's servers and deletes its collections, in parallel with the following tests.
  static func end(_ deployment: Deployment) {
    let handed = Handed(deployment)
    let end = Handed(Background("end of a test") { try handed.take().close() })
    ends.withLock { $0.append(end) }
  }

  private static func close() {
    for end in ends.withLock({ $0 }) { try? end.take().finish() }
    if case .success(let database) = started { database.close() }
  }
}

/// The collections of one test in a database, and the servers over them.
final class Deployment {
  let database: TestDatabase
  private let isShared: Bool
  /// The name of the database that contains the three collections; it is also the application name of the servers.
  let name: String
  let pool: MongoClientPool
  let agents: MongoWriter
  let prompts: MongoWriter
  let sources: MongoWriter
  private var servers: [RunningServer] = []

  /// - Parameter own: a database of the test's own; nil for the shared one.
  init(_ own: TestDatabase?) throws {
    database = try own ?? SharedDatabase.get()
    isShared = own == nil
    name = "t" + UUID().uuidString.lowercased().filter { $0 != "-" }.prefix(12)
    pool = try MongoClientPool(uri: database.uri + "?appname=test-writer&serverSelectionTryOnce=false")
    let (pool, name) = (pool, name)
    func writer(_ collection: String) throws -> MongoWriter {
      MongoWriter(pool: pool, namespace: try #require(MongoNamespace("\(name).\(collection)")))
    }
    agents = try writer("agents")
    prompts = try writer("prompts")
    sources = try writer("sources")
  }

  /// The connection string, with an application name by which a failpoint selects the servers' connections.
  var uri: String { database.uri + "?appname=\(name)&serverSelectionTimeoutMS=2000" }

  func configuration() -> ServerConfiguration {
    var configuration = ServerConfiguration()
    // Tests do not wait a second for a PROGRESS.
    configuration.minimumProgressInterval = .milliseconds(10)
    configuration.mongoDBURI = uri
    configuration.listen = HostAndPort(host: "127.0.0.1", port: 0)
    configuration.httpListen = HostAndPort(host: "127.0.0.1", port: 0)
    configuration.agentConfigs = "\(name).agents"
    configuration.prompts = "\(name).prompts"
    configuration.sourceConfigs = "\(name).sources"
    configuration.threads = 2
    return configuration
  }

  /// The same configuration as arguments of the executable.
  var arguments: [String] {
    [
      "--mongodb-uri", uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--agent-configs",
      "\(name).agents", "--prompts", "\(name).prompts", "--source-configs", "\(name).sources",
    ]
  }

  /// Starts a server over the collections and waits until it is warm.
  func server(waits: Bool = true, _ configure: (inout ServerConfiguration) -> Void = { _ in }) throws -> RunningServer {
    var configuration = configuration()
    configure(&configuration)
    let server = try RunningServer(configuration)
    servers.append(server)
    if waits { try poll("the server is warm") { server.server.isWarm } }
    return server
  }

  /// Runs a command on the administrative database.
  @discardableResult
  func command(_ json: String) throws -> BSONDocument {
    try pool.command(BSONDocument(json: json), database: "admin")
  }

  /// Makes `getMore` of this test's servers fail with `code`, until ``stopFailing()``.
  func failGetMore(code: Int) throws {
    try command(
      """
      {"configureFailPoint": "failCommand", "mode": "alwaysOn",
       "data": {"failCommands": ["getMore"], "errorCode": \(code), "appName": "\(name)"}}
      """)
  }

  func stopFailing() throws {
    try command(#"{"configureFailPoint": "failCommand", "mode": "off"}"#)
  }

  /// Stops the servers, then deletes the collections; a database of the test's own is deleted as a whole.
  func close() {
    for server in servers { server.stop() }
    servers = []
    guard isShared else { return }
    _ = try? pool.command(BSONDocument(json: #"{"dropDatabase": 1}"#), database: name)
  }
}

/// A server in this process, with its log.
final class RunningServer {
  let server: ConfigLookupServer
  let log: CapturedLog
  private var isStopped = false

  init(_ configuration: ServerConfiguration) throws {
    log = CapturedLog()
    server = try ConfigLookupServer(configuration, logger: log.logger)
  }

  var address: HostAndPort { server.address }

  func client() throws -> TestClient { try TestClient(address) }

  func stop() {
    guard !isStopped else { return }
    isStopped = true
    server.stop()
  }
}

extension Watch {
  /// Opens a watch and takes its first notice, which must be a PROGRESS: every write after the return of this function
  /// is announced.
  static func open(_ server: RunningServer, _ request: Request = Request()) throws -> Watch {
    try open(server.address, request)
  }
}

/// Runs `body` with collections of its own, which are deleted afterwards, in the shared database or in one of the
/// test's own.
func withDeployment(_ database: TestDatabase? = nil, _ body: (Deployment) throws -> Void) throws {
  let deployment = try Deployment(database)
  defer { if database == nil { SharedDatabase.end(deployment) } else { deployment.close() } }
  try body(deployment)
}
