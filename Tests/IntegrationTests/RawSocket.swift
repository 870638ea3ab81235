// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import TestSupport
internal import Testing

/// A connection that sends any bytes, valid or not.
final class RawSocket {
  private let descriptor: Int32
  private var isOpen = true

  init(_ address: HostAndPort) throws {
    descriptor = try connectSocket(to: address, deadline: soon())
  }

  deinit { close() }

  func close() {
    if isOpen { Glibc.close(descriptor) }
    isOpen = false
  }

  /// Makes the receive buffer small, so that the peer must buffer its bytes itself.
  func shrinkReceiveBuffer() {
    var size: Int32 = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
  }

  /// Sends as many bytes as the socket accepts without blocking. Returns their number; nil once the connection is
  /// closed.
  func sendSome(_ bytes: [UInt8]) -> Int? {
    let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    return count >= 0 ? count : errno == EAGAIN || errno == EINTR ? 0 : nil
  }

  /// Sends until the peer accepts no more: until no byte has been sent for `patience`, or `limit` bytes have been.
  /// Returns their number.
  func sendUntilStuck(_ block: [UInt8], limit: Int, patience: Duration = .milliseconds(500)) throws -> Int {
    var total = 0
    var offset = 0
    var deadline = soon(patience)
    while total < limit, MonotonicTime.now < deadline {
      guard let count = sendSome(Array(block[offset...])) else { throw TestFailure("cut after \(total) bytes") }
      total += count
      offset = (offset + count) % block.count
      if count > 0 { deadline = soon(patience) } else { usleep(1000) }
    }
    return total
  }

  /// Waits until the peer closes the connection; the bytes before that are discarded.
  func waitForEnd() throws {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let deadline = soon()
    while waitForSocket(descriptor, writable: false, deadline: deadline) {
      if read(descriptor, &chunk, chunk.count) <= 0, errno != EAGAIN { return }
    }
    throw TestFailure("the peer did not close")
  }

  /// Makes the close reset the connection: the peer's bytes are discarded.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }
}

/// The reply to an HTTP request.
struct HTTPAnswer {
  let status: Int
  let text: String

  /// The body, parsed as a JSON object; empty if it is none.
  var object: [String: Any] {
    let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    return object ?? [:]
  }
}

/// Sends a request without a body: its first line, followed by the headers.
func askHTTP(_ address: HostAndPort, _ head: String) throws -> HTTPAnswer {
  let deadline = soon()
  let socket = try connectSocket(to: address, deadline: deadline)
  defer { close(socket) }
  let request = Array("\(head)\r\n\r\n".utf8)
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
  return HTTPAnswer(status: Int(text.split(separator: " ")[1]) ?? 0, text: String(text[head.upperBound...]))
}

/// The samples of `/metrics`, by name and labels.
func metrics(_ http: HostAndPort) throws -> [String: Double] {
  let answer = try askHTTP(http, "GET /metrics HTTP/1.0")
  guard answer.status == 200 else { throw TestFailure("status \(answer.status)") }
  var values: [String: Double] = [:]
  for line in answer.text.split(separator: "\n") where !line.hasPrefix("#") {
    guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
      throw TestFailure("no sample: \(line)")
    }
    values[String(line[..<space])] = value
  }
  return values
}
