// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Foundation
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport

extension Fault {
  /// Error codes that the database returns for a server's command. Each is returned until every stream has received it.
  static let errors = [
    sweep(
      "getmore-errors", "getMore fails with each code that the change streams specification knows", "getMore",
      isShort: true),
    Fault(
      name: "getmore-errors-labelled",
      what: "the same after the cursor was found, with the error labels of a real server", isOnce: true
    ) { bench, _ in
      for code in bench.codes {
        try bench.fail(
          """
          {"configureFailPoint": "failGetMoreAfterCursorCheckout", "mode": {"times": 6},
           "data": {"errorCode": \(code), "appName": "\(BenchServer.appName)"}}
          """)
        bench.breathe(0.5)
        try bench.command(#"{"configureFailPoint": "failGetMoreAfterCursorCheckout", "mode": "off"}"#)
        try bench.recover()
      }
      bench.sayCodes()
    },
    sweep(
      "aggregate-errors", "connections are reset, and the aggregate that opens a stream again fails with each code",
      "aggregate"
    ) { bench in
      for server in bench.servers { server.proxy.reset() }
    },
    sweep("find-errors", "a reload is asked for, and its find fails with each code", "find") { bench in
      let before = try bench.servers.map { try $0.status().caches.map(\.loadedAt) }
      for server in bench.servers { _ = try TestClient(server.address).invalidate() }
      try poll("every cache has been read anew", timeout: .seconds(30)) {
        try zip(bench.servers, before).allSatisfy { server, before in
          zip(try server.status().caches, before).allSatisfy { $0.loadedAt > $1 }
        }
      }
    },
  ]

  /// Makes `command` fail with one code after the other, calls `provoke` to cause the command, and waits until the
  /// servers have recovered.
  private static func sweep(
    _ name: String, _ what: String, _ command: String, isShort: Bool = false,
    provoke: @escaping @Sendable (Bench) throws -> Void = { _ in }
  ) -> Fault {
    Fault(name: name, what: what, isShort: isShort, isOnce: true) { bench, _ in
      for code in bench.codes {
        try bench.failCommand([command], code: code, times: 6)
        try provoke(bench)
        bench.breathe(0.5)
        // The number of remaining failures, if the failpoint has not been hit.
        let left = try bench.remaining(of: command, 6)
        try bench.stopFailing()
        if left == 6 { throw TestFailure("code \(code) has not struck: no server called \(command)") }
        try bench.recover()
      }
      bench.sayCodes()
    }
  }

  /// The errors after which the specification lets a driver resume: by label, or by code for old servers.
  ///
  /// https://github.com/mongodb/specifications/blob/master/source/change-streams/change-streams.md#resumable-error
  static let resumableCodes = [
    6, 7, 43, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436,
  ]

  /// The errors that end a stream: not allowed, no such collection, timeout, position lost, invalidated, killed,
  /// invalid token, fatal, history lost, interrupted; and codes of old servers.
  static let finalCodes = [13, 26, 50, 136, 222, 237, 260, 280, 286, 11601, 40576, 40585, 40615, 50811]
}

extension Bench {
  fileprivate var codes: [Int] {
    options.isShort ? [6, 43, 189, 237, 286] : Fault.resumableCodes + Fault.finalCodes
  }

  /// Makes the servers' `commands` fail with `code`, `times` times or until ``stopFailing()``.
  func failCommand(_ commands: [String], code: Int, times: Int? = nil) throws {
    let mode = times.map { "{\"times\": \($0)}" } ?? "\"alwaysOn\""
    let names = commands.map(quoted).joined(separator: ", ")
    try command(
      """
      {"configureFailPoint": "failCommand", "mode": \(mode),
       "data": {"failCommands": [\(names)], "errorCode": \(code), "appName": "\(BenchServer.appName)"}}
      """)
  }

  fileprivate func sayCodes() {
    let slow = zip(codes, recoverySeconds).filter { $0.1 > 2 }.map { "\($0): \(String(format: "%.1f", $1)) s" }
    say("\(codes.count) codes" + (slow.isEmpty ? "" : "; slow to recover: \(slow.joined(separator: ", "))"))
  }

  fileprivate func fail(_ failPoint: String) throws { try command(failPoint) }

  func stopFailing() throws {
    try command(#"{"configureFailPoint": "failCommand", "mode": "off"}"#)
  }

  /// The number of times, up to `limit`, that the failpoint still fails a command of a client with the servers'
  /// application name.
  fileprivate func remaining(of name: String, _ limit: Int) throws -> Int {
    let probe = try MongoClientPool(uri: database.uri + "?directConnection=true&appname=\(BenchServer.appName)")
    let body =
      switch name {
      case "getMore": #"{"getMore": {"$numberLong": "1"}, "collection": "none"}"#
      case "aggregate": #"{"aggregate": "none", "pipeline": [], "cursor": {}}"#
      default: #"{"find": "none"}"#
      }
    for count in 0..<limit {
      do {
        _ = try probe.command(BSONDocument(json: body), database: Self.databaseName)
        return count
      } catch let error as MongoError {
        if !error.message.contains("failpoint") { return count }
      }
    }
    return limit
  }
}
