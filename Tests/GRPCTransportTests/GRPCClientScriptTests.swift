// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import Glibc
internal import Testing

@testable internal import GRPCTransport

/// Tests of the client with replies that this package's server never sends. They are written frame by frame.
@Suite struct GRPCClientScriptTests {
  @Test(arguments: [
    ("0", "", RPCStatus.Code.ok, ""), ("5", "no%20such %C3%A4%", .notFound, "no such ä%"),
    ("99", "new", .unknown, "new"),
    ("x", "", .unknown, ""),
  ])
  func theTrailersSayHowItEnded(status: String, message: String, code: RPCStatus.Code, text: String) throws {
    let trailers = Script.headers(1, [("grpc-status", status), ("grpc-message", message), ("x-more", "1")], ends: true)
    let reply = try Script.reply(Script.head + Script.message([1, 2]) + trailers)
    #expect(reply.status == RPCStatus(clientSide: code, text))
    #expect(reply.payload == (code == .ok ? [1, 2] : []))
    #expect(reply.metadata["x-more"] == "1")
  }

  @Test(arguments: [
    ("503", RPCStatus.Code.unavailable), ("401", .unauthenticated), ("404", .unimplemented), ("200", .unknown),
  ])
  func anAnswerByHTTPIsAStatus(status: String, code: RPCStatus.Code) throws {
    let page = Script.headers(1, [(":status", status), ("content-type", "text/html")])
    #expect(try Script.reply(page + Script.data(Array("<html>".utf8), ends: true)).status.code == code)
  }

  @Test(arguments: [
    (UInt8(7), RPCStatus.Code.unavailable), (8, .cancelled), (11, .resourceExhausted), (12, .permissionDenied),
    (2, .internalError), (0, .internalError),
  ])
  func aResetIsAStatus(code: UInt8, status: RPCStatus.Code) throws {
    let reset = Script.frame(3, 0, 1, [0, 0, 0, code])
    #expect(try Script.reply(Script.head + reset).status.code == status)
  }

  @Test func whatIsNoWholeMessageIsAnError() throws {
    let end = Script.headers(1, [("grpc-status", "0")], ends: true)
    for (bytes, text) in [
      (Script.data([0, 0, 0, 0, 9, 1]), "in the middle"), ([], "no reply"),
      (Script.data([1, 0, 0, 0, 0]), "compressed"),
      (Script.message([1]) + Script.message([2]), "more than one"),
    ] {
      let status = try Script.reply(Script.head + bytes + end).status
      #expect(status.code == .internalError && status.message.contains(text), "\(status)")
    }
    let large = try Script.reply(Script.head + Script.data([0, 0xff, 0, 0, 0]) + end)
    #expect(large.status.code == .resourceExhausted)
  }

  @Test func aCallThatAGoAwayLeavesOutWasNotTaken() throws {
    let script = try Script(
      Script.goAway(lastStream: 0, code: 0, "moved") + Script.frame(6, 1, 0, [UInt8](repeating: 0, count: 8)))
    let call = try script.client.openCall("Echo")
    #expect(try script.client.nextReply(call, deadline: soon()).status.code == .unavailable)
    #expect(script.client.goAwayReason == "moved")
  }

  @Test func aGoAwayWithoutWordsIsNamedByItsCode() throws {
    let script = try Script(Script.goAway(lastStream: 0, code: 11, ""))
    let call = try script.client.openCall("Echo")
    #expect(try script.client.nextReply(call, deadline: soon()).status.code == .unavailable)
    #expect(script.client.goAwayReason == "ENHANCE_YOUR_CALM")
  }

  @Test(arguments: [
    Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), Script.frame(0, 0, 0, [1]),
    Script.settings + Script.frame(1, 4, 1, [0x80]),
  ])
  func whatIsNoHTTP2EndsTheConnection(bytes: [UInt8]) throws {
    let script = try Script(bytes, hasSettings: false)
    let error = #expect(throws: RPCClientError.self) {
      try script.client.nextReply(script.client.openCall("Echo"), deadline: soon())
    }
    #expect(error?.code == .malformed, "\(error as Any)")
  }

  @Test func aConnectionThatEndsIsLost() throws {
    let script = try Script(Script.head)
    script.hangUp()
    let error = #expect(throws: RPCClientError.self) {
      try script.client.nextReply(script.client.openCall("Echo"), deadline: soon())
    }
    #expect(error?.code == .connectionLost)
  }
}

private func soon() -> MonotonicTime { .now.advanced(by: .seconds(120)) }

/// A client, and a peer that has sent all of its bytes before the client's call.
private final class Script {
  let client: GRPCClient
  private var peer: Int32

  init(_ bytes: [UInt8], hasSettings: Bool = true) throws {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
    client = GRPCClient(adopting: ends[0], of: HostAndPort(host: "127.0.0.1", port: 1), service: "test")
    peer = ends[1]
    let all = (hasSettings ? Self.settings : []) + bytes
    try #require(write(peer, all, all.count) == all.count)
  }

  deinit { hangUp() }

  func hangUp() {
    if peer >= 0 { close(peer) }
    peer = -1
  }

  static func reply(_ bytes: [UInt8]) throws -> RPCClientReply {
    let script = try Script(bytes)
    return try withExtendedLifetime(script) { try script.client.call("Echo", [1]) }
  }

  static let settings = frame(4, 0, 0, [])
  static let head = headers(1, [(":status", "200"), ("content-type", "application/grpc")])

  static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
    [0, UInt8(payload.count >> 8), UInt8(payload.count & 255), type, flags, 0, 0, 0, stream] + payload
  }

  /// A block of headers without compression: each header is a literal that is not indexed.
  static func headers(_ stream: UInt8, _ pairs: [(String, String)], ends: Bool = false) -> [UInt8] {
    var block: [UInt8] = []
    for (name, value) in pairs {
      block += [0, UInt8(name.utf8.count)] + Array(name.utf8)
      block += [UInt8(value.utf8.count)] + Array(value.utf8)
    }
    return frame(1, ends ? 5 : 4, stream, block)
  }

  static func data(_ bytes: [UInt8], ends: Bool = false) -> [UInt8] { frame(0, ends ? 1 : 0, 1, bytes) }

  static func message(_ bytes: [UInt8]) -> [UInt8] { data([0, 0, 0, 0, UInt8(bytes.count)] + bytes) }

  static func goAway(lastStream: UInt8, code: UInt8, _ reason: String) -> [UInt8] {
    frame(7, 0, 0, [0, 0, 0, lastStream, 0, 0, 0, code] + Array(reason.utf8))
  }
}
