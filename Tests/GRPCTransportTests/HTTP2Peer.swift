// SPDX-License-Identifier: Apache-2.0
import CNGHTTP2
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import Glibc
import TestSupport

@testable import GRPCTransport

/// A client that sends any frames, valid or not, and decodes the frames that it receives.
final class HTTP2Peer {
  /// The part of a reply that has been received.
  struct Reply {
    /// The header blocks: headers, and trailers after the messages.
    var blocks: [[String: String]] = []
    var bytes: [UInt8] = []
    var isEnded = false
    var resetCode: UInt32?

    var headers: [String: String] { blocks.first ?? [:] }
    var trailers: [String: String] { blocks.last ?? [:] }
    /// The value of `grpc-status`, or -1.
    var status: Int { trailers["grpc-status"].flatMap { Int($0) } ?? -1 }
    /// The reason in `grpc-status-details-bin`; nil if there is none.
    var reason: ErrorReason? {
      guard var text = trailers["grpc-status-details-bin"] else { return nil }
      let details = text.withUTF8 { GRPCText.base64Decoded(UnsafeRawBufferPointer($0)) }
      return (details?.withUnsafeBytes { GRPCStatusDetails.decode($0) }).flatMap { ErrorReason(rawValue: $0.reason) }
    }

    /// The complete messages.
    var messages: [[UInt8]] {
      var found: [[UInt8]] = []
      var rest = bytes[...]
      while rest.count >= 5, rest.count >= 5 + Int(number(rest.dropFirst().prefix(4))) {
        let end = 5 + Int(number(rest.dropFirst().prefix(4)))
        found.append(Array(rest.prefix(end).dropFirst(5)))
        rest = rest.dropFirst(end)
      }
      return found
    }
  }

  struct GoAway: Equatable {
    let lastStream: UInt32
    let code: UInt32
    let text: String
  }

  private(set) var replies: [UInt32: Reply] = [:]
  private(set) var goAways: [GoAway] = []
  /// The payloads of the server's PINGs, and of its acknowledgements.
  private(set) var pings: [[UInt8]] = []
  private(set) var pongs: [[UInt8]] = []
  private(set) var settings: [UInt16: UInt32] = [:]
  private(set) var isClosed = false
  var answersPings = true
  private var descriptor: Int32
  private var input: [UInt8] = []
  private var lastStream: UInt32 = 0
  private let inflater: OpaquePointer

  /// Connects and sends the preface. The windows have the maximum size unless the settings contain another one.
  init(_ address: HostAndPort, settings: [UInt16: UInt32] = [4: 0x7fff_ffff]) throws {
    var inflater: OpaquePointer?
    nghttp2_hd_inflate_new(&inflater)
    guard let inflater else { throw TestFailure("no memory") }
    self.inflater = inflater
    descriptor = try connectSocket(to: address, deadline: soon())
    send(HTTP2FrameScanner.preface)
    send(.settings(settings))
    // The window is smaller than the maximum, so that a test can enlarge it.
    if settings[4] == 0x7fff_ffff { send(.windowUpdate(0, 0x7ffe_0000)) }
  }

  deinit {
    close()
    nghttp2_hd_inflate_del(inflater)
  }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  // MARK: Sending

  /// Sends the bytes that the server accepts.
  func send(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty, waitForSocket(descriptor, writable: true, deadline: soon()) {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno != EAGAIN { return }
      rest = rest.dropFirst(max(0, count))
    }
  }

  func send(_ frames: HTTP2Frame...) { send(frames.flatMap(\.bytes)) }

  func nextStream() -> UInt32 {
    lastStream += lastStream == 0 ? 1 : 2
    return lastStream
  }

  static func headers(_ method: String, _ extra: [(String, String)] = []) -> [(String, String)] {
    [
      (":method", "POST"), (":scheme", "http"), (":path", "/test/\(method)"), (":authority", "test"),
      ("te", "trailers"), ("content-type", "application/grpc"),
    ] + extra
  }

  /// Starts a call.
  func open(_ method: String, _ extra: [(String, String)] = [], ends: Bool = false) -> UInt32 {
    let stream = nextStream()
    send(.headers(stream, Self.headers(method, extra), ends: ends))
    return stream
  }

  /// Sends a complete call.
  func call(_ method: String, _ message: [UInt8] = [], _ extra: [(String, String)] = []) -> UInt32 {
    let stream = nextStream()
    send(.headers(stream, Self.headers(method, extra)), .data(stream, prefixed(message), ends: true))
    return stream
  }

  // MARK: Receiving

  /// The part of the reply that has been received.
  func reply(_ stream: UInt32) -> Reply { replies[stream] ?? Reply() }

  /// Reads until the stream has ended.
  func wholeReply(_ stream: UInt32) throws -> Reply {
    try read("the end of stream \(stream)") { $0.reply(stream).isEnded || $0.reply(stream).resetCode != nil }
    return reply(stream)
  }

  /// Reads until the server has acknowledged a PING, so it has processed what was sent before.
  func sync() throws {
    let before = pongs.count
    send(.ping([1, 2, 3, 4, 5, 6, 7, 8]))
    try read("the answer to a PING") { $0.pongs.count > before }
  }

  func readToEnd() throws { try read("the end of the connection") { $0.isClosed } }

  /// Reads until a condition holds.
  func read(_ what: String, until holds: (HTTP2Peer) -> Bool) throws {
    let deadline = soon()
    while !holds(self) {
      guard !isClosed else { throw TestFailure("the server closed before \(what); GOAWAY: \(goAways)") }
      guard waitForSocket(descriptor, writable: false, deadline: deadline) else { throw TestFailure("not: \(what)") }
      try readSome()
    }
  }

  private func readSome() throws {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EAGAIN { return }
    guard count > 0 else { return isClosed = true }
    input += buffer[..<count]
    var start = 0
    while input.count - start >= 9 {
      let end = start + 9 + Int(number(input[start..<(start + 3)]))
      guard end <= input.count else { break }
      let stream = number(input[(start + 5)..<(start + 9)])
      try take(
        HTTP2Frame(kind: input[start + 3], flags: input[start + 4], stream: stream, Array(input[(start + 9)..<end])))
      start = end
    }
    input.removeFirst(start)
  }

  private func take(_ frame: HTTP2Frame) throws {
    let ends = frame.flags & HTTP2Frame.endStream != 0
    switch HTTP2Frame.Kind(rawValue: frame.kind) {
    case .headers:
      replies[frame.stream, default: Reply()].blocks.append(try inflate(frame.payload))
      if ends { replies[frame.stream]?.isEnded = true }
    case .data:
      replies[frame.stream, default: Reply()].bytes += frame.payload
      if ends { replies[frame.stream]?.isEnded = true }
    case .resetStream: replies[frame.stream, default: Reply()].resetCode = number(frame.payload)
    case .settings where !ends:
      for start in stride(from: 0, to: frame.payload.count, by: 6) {
        let entry = frame.payload[start..<(start + 6)]
        settings[UInt16(number(entry.prefix(2)))] = number(entry.dropFirst(2))
      }
    case .ping where ends: pongs.append(frame.payload)
    case .ping:
      pings.append(frame.payload)
      if answersPings { send(.ping(frame.payload, flags: HTTP2Frame.acknowledgement)) }
    case .goAway:
      goAways.append(
        GoAway(
          lastStream: number(frame.payload[..<4]), code: number(frame.payload[4..<8]),
          text: String(decoding: frame.payload[8...], as: UTF8.self)))
    default: break
    }
  }

  private func inflate(_ block: [UInt8]) throws -> [String: String] {
    var headers: [String: String] = [:]
    var rest = block[...]
    while true {
      var field = nghttp2_nv()
      var flags: Int32 = 0
      let count = rest.withUnsafeBufferPointer {
        nghttp2_hd_inflate_hd2(inflater, &field, &flags, $0.baseAddress, $0.count, 1)
      }
      guard count >= 0 else { throw TestFailure("a header block that cannot be read: \(count)") }
      rest = rest.dropFirst(count)
      if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
        let name = String(decoding: UnsafeBufferPointer(start: field.name, count: field.namelen), as: UTF8.self)
        headers[name] = String(decoding: UnsafeBufferPointer(start: field.value, count: field.valuelen), as: UTF8.self)
      }
      guard flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) == 0 else { break }
    }
    nghttp2_hd_inflate_end_headers(inflater)
    return headers
  }
}
