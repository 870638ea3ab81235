// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The notifications that systemd receives from the server.
@Suite struct ServiceManagerTests {
  @Test(arguments: [false, true]) func systemdHearsOfReadinessLifeAndTheEnd(isAbstract: Bool) throws {
    try withTestDatabase { database in
      let manager = try NotifySocket(isAbstract: isAbstract)
      let server = try HealthServer(
        uri: database.uri, environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "50000"])
      defer { server.end() }
      try manager.waitFor("READY=1")
      #expect(try server.get("/health/ready").status == 200)
      try manager.waitFor("WATCHDOG=1")
      try manager.waitFor("WATCHDOG=1")
      server.child.send(SIGTERM)
      try manager.waitFor("STOPPING=1")
      #expect(try server.child.waitForExit() == .exited(0))
    }
  }

  @Test func aServerThatIsNotWarmIsNotReady() throws {
    let manager = try NotifySocket(isAbstract: true)
    let uri = "mongodb://127.0.0.1:\(try freePort())/?serverSelectionTimeoutMS=200"
    let server = try HealthServer(uri: uri, environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"])
    defer { server.end() }
    for _ in 0..<5 { #expect(try manager.next().hasPrefix("WATCHDOG=1")) }
  }

  @Test func aSocketThatIsNotThereDisturbsNothing() throws {
    let server = try HealthServer(
      uri: "mongodb://127.0.0.1:\(try freePort())", environment: ["NOTIFY_SOCKET": "/nowhere/at/all"])
    defer { server.end() }
    #expect(try server.get("/health/live").status == 200)
  }
}

/// The side of the protocol that systemd implements.
private final class NotifySocket {
  /// The name, as in `NOTIFY_SOCKET`.
  let name: String
  private let descriptor: Int32
  private let folder: URL

  init(isAbstract: Bool) throws {
    folder = try makeTemporaryFolder()
    name = isAbstract ? "@config-lookup-\(UUID().uuidString)" : folder.appendingPathComponent("notify").path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(name.utf8)
    if isAbstract { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1))
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    guard code == 0 else { throw TestFailure("bind: \(String(cString: strerror(errno)))") }
  }

  deinit {
    close(descriptor)
    try? FileManager.default.removeItem(at: folder)
  }

  func next() throws -> String {
    guard waitForSocket(descriptor, writable: false, deadline: soon()) else { throw TestFailure("nothing was said") }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    guard count > 0 else { throw TestFailure("recv: \(count)") }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// Discards messages until one with this prefix arrives.
  func waitFor(_ start: String) throws {
    while try !next().hasPrefix(start) {}
  }
}
