// SPDX-License-Identifier: Apache-2.0
internal import CNGHTTP2

/// The rules of HTTP/2 for a request's headers and length (RFC 9113, section 8), checked header by header.
///
/// nghttp2 can check them, too. However, it rejects more than other gRPC servers do: an empty `:authority`, the path of
/// a socket, the cluster name of a service mesh. It also resets such a call without a report. Therefore its own check
/// is disabled, and this type reports the problem. Any header value is accepted as `:authority`, because nothing here
/// depends on it.
struct HTTP2RequestRules {
  private struct Fields: OptionSet {
    let rawValue: UInt8
    static let method = Fields(rawValue: 1)
    static let scheme = Fields(rawValue: 2)
    static let path = Fields(rawValue: 4)
    static let authority = Fields(rawValue: 8)
    static let host = Fields(rawValue: 16)
    static let regular = Fields(rawValue: 32)
  }

  /// A short description of a problem, which is the same for many requests.
  typealias Problem = StaticString

  private var seen: Fields = []
  private var contentLength: Int?
  private var receivedBytes = 0
  /// The first problem of the request.
  private(set) var problem: Problem?

  /// Checks a header of the request.
  mutating func check(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if problem == nil { problem = problemOf(name, value) }
  }

  /// Checks that no header is missing. Called when all headers have been received.
  mutating func checkComplete() {
    guard problem == nil else { return }
    if !seen.isSuperset(of: [.method, .scheme, .path]) {
      problem = ":method, :scheme or :path is missing"
    } else if seen.isDisjoint(with: [.authority, .host]) {
      problem = ":authority and host are missing"
    }
  }

  /// Counts bytes of the request's body.
  mutating func received(_ count: Int) {
    receivedBytes += count
    if problem == nil, let contentLength, receivedBytes > contentLength { problem = "more bytes than content-length" }
  }

  /// Checks the length at the end of the request.
  mutating func ended() {
    if problem == nil, let contentLength, receivedBytes != contentLength { problem = "fewer bytes than content-length" }
  }

  /// The problem of a header that follows the request's body; nil if there is none.
  static func problemOfTrailer(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Problem? {
    if name.first == UInt8(ascii: ":") { return "a pseudo-header among the trailers" }
    return problemOfText(name, value)
  }

  private mutating func problemOf(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Problem? {
    guard name.first != UInt8(ascii: ":") else { return problemOfPseudo(name, value) }
    seen.insert(.regular)
    if let problem = Self.problemOfText(name, value) { return problem }
    switch name[0] {
    case UInt8(ascii: "t"):
      if name.isEqual(to: "te"), !value.isEqual(to: "trailers") { return "te is not \"trailers\"" }
      if name.isEqual(to: "transfer-encoding") { return Self.connectionHeader }
    case UInt8(ascii: "c"):
      if name.isEqual(to: "connection") { return Self.connectionHeader }
      if name.isEqual(to: "content-length") { return setContentLength(value) }
    case UInt8(ascii: "h"):
      if name.isEqual(to: "host") { seen.insert(.host) }
    case UInt8(ascii: "k"), UInt8(ascii: "p"), UInt8(ascii: "u"):
      if name.isEqual(to: "keep-alive") || name.isEqual(to: "proxy-connection") || name.isEqual(to: "upgrade") {
        return Self.connectionHeader
      }
    default: break
    }
    return nil
  }

  private static let connectionHeader: Problem = "a connection-specific header of HTTP/1"

  private mutating func problemOfPseudo(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Problem? {
    let field: Fields
    if name.isEqual(to: ":path") {
      field = .path
    } else if name.isEqual(to: ":method") {
      field = .method
    } else if name.isEqual(to: ":scheme") {
      field = .scheme
    } else if name.isEqual(to: ":authority") {
      field = .authority
    } else {
      return "a pseudo-header that requests do not have"
    }
    if seen.contains(.regular) { return "a pseudo-header after other headers" }
    if !seen.insert(field).inserted { return "a repeated pseudo-header" }
    if value.isEmpty, field != .authority { return ":method, :scheme or :path is empty" }
    return Self.isValue(value) ? nil : "a header value with a byte that is not allowed"
  }

  private mutating func setContentLength(_ value: UnsafeRawBufferPointer) -> Problem? {
    // The limit is 18 digits: no request is longer, and no sum overflows.
    guard (1...18).contains(value.count), value.allSatisfy({ (0x30...0x39).contains($0) }), contentLength == nil else {
      return "content-length is not a number, or is repeated"
    }
    contentLength = value.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    return nil
  }

  private static func problemOfText(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Problem? {
    guard nghttp2_check_header_name(name.assumingMemoryBound(to: UInt8.self).baseAddress, name.count) != 0 else {
      return "a header name with a byte that is not allowed"
    }
    return isValue(value) ? nil : "a header value with a byte that is not allowed"
  }

  private static func isValue(_ value: UnsafeRawBufferPointer) -> Bool {
    nghttp2_check_header_value(value.assumingMemoryBound(to: UInt8.self).baseAddress, value.count) != 0
  }
}
