internal import Core
internal import Foundation
internal import Glibc
internal import Network
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// A server as a process, asked over HTTP.
struct HealthServer {
  struct Reply {
    let status: Int
    let text: String
    let object: [String: Any]
  }

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

  /// Of `/metrics`, each sample's value by its name and labels.
  func metrics() throws -> [String: Double] {
    let reply = try get("/metrics")
    guard reply.status == 200 else { throw TestFailure("status \(reply.status)") }
    var values: [String: Double] = [:]
    for line in reply.text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
        throw TestFailure("no sample: \(line)")
      }
      values[String(line[..<space])] = value
    }
    return values
  }

  func get(_ path: String) throws -> Reply {
    let deadline = MonotonicTime.now.advanced(bySeconds: 20)
    let socket = try connectSocket(to: address, deadline: deadline)
    defer { close(socket) }
    let request = Array("GET \(path) HTTP/1.0\r\n\r\n".utf8)
    #expect(send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
    var reply: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while waitForSocket(socket, writable: false, deadline: deadline) {
      let count = read(socket, &chunk, chunk.count)
      guard count > 0 else { break }
      reply += chunk[..<count]
    }
    let text = String(decoding: reply, as: UTF8.self)
    let head = try #require(text.range(of: "\r\n\r\n"), "no reply: \(text)")
    let body = String(text[head.upperBound...])
    let object = try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
    return Reply(status: Int(text.split(separator: " ")[1]) ?? 0, text: body, object: object ?? [:])
  }

  /// At once, whatever it is doing.
  func end() {
    child.send(SIGKILL)
    _ = try? child.waitForExit()
  }
}
