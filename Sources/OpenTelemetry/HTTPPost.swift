internal import Core
internal import Network

/// A POST by HTTP/1.1 on a connection of its own, which waits for the answer's status. Any thread but a loop's.
struct HTTPPost {
  let address: HostAndPort
  let path: String
  let headers: [(name: String, value: String)]

  /// Gives the status. Ends early, with an error, once `isCancelled`.
  func send(
    _ body: [UInt8], deadline: MonotonicTime, isCancelled: () -> Bool
  ) throws(HTTPPostFailure) -> Int {
    let connecting = min(deadline, .now.advanced(bySeconds: Limits.connectSeconds))
    let stream: OutgoingStream
    do throws(NetworkError) {
      stream = try OutgoingStream(to: address, deadline: connecting)
    } catch {
      throw HTTPPostFailure(message: error.message)
    }
    try write(head(body.count) + body, to: stream, deadline, isCancelled)
    return try readStatus(stream, deadline, isCancelled)
  }

  private func head(_ length: Int) -> [UInt8] {
    var text = "POST \(path) HTTP/1.1\r\nhost: \(address)\r\ncontent-length: \(length)\r\nconnection: close\r\n"
    for header in headers { text += "\(header.name): \(header.value)\r\n" }
    return Array((text + "\r\n").utf8)
  }

  private func write(
    _ bytes: [UInt8], to stream: OutgoingStream, _ deadline: MonotonicTime, _ isCancelled: () -> Bool
  ) throws(HTTPPostFailure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      switch rest.withUnsafeBytes({ stream.write($0) }) {
      case .count(0): try wait(stream, writable: true, deadline, isCancelled)
      case .count(let count): rest = rest.dropFirst(count)
      case .lost(let problem): throw HTTPPostFailure(message: "\"\(address)\": the collector \(problem)")
      }
    }
  }

  /// Of the reply no more than its first line matters.
  private func readStatus(
    _ stream: OutgoingStream, _ deadline: MonotonicTime, _ isCancelled: () -> Bool
  ) throws(HTTPPostFailure) -> Int {
    var head: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while head.count < Limits.replyHeadBytes {
      switch chunk.withUnsafeMutableBytes({ stream.read(into: $0) }) {
      case .count(0): try wait(stream, writable: false, deadline, isCancelled)
      case .count(let count): head += chunk[..<count]
      case .lost(let problem): throw HTTPPostFailure(message: "\"\(address)\": the collector \(problem)")
      }
      guard let end = head.firstIndex(of: UInt8(ascii: "\r")) else { continue }
      let words = head[..<end].split(separator: UInt8(ascii: " "))
      guard words.count >= 2, words[0].starts(with: "HTTP/1.".utf8),
        let status = Int(String(decoding: words[1], as: UTF8.self))
      else { break }
      return status
    }
    throw HTTPPostFailure(message: "\"\(address)\": what answers there speaks no HTTP/1.1")
  }

  private func wait(
    _ stream: OutgoingStream, writable: Bool, _ deadline: MonotonicTime, _ isCancelled: () -> Bool
  ) throws(HTTPPostFailure) {
    while true {
      guard !isCancelled() else { throw HTTPPostFailure(message: "cancelled") }
      let look = min(deadline, .now.advanced(bySeconds: Limits.lookSeconds))
      if stream.wait(writable: writable, deadline: look) { return }
      guard MonotonicTime.now < deadline else {
        throw HTTPPostFailure(message: "\"\(address)\": the collector does not answer in time")
      }
    }
  }
}

/// Why a POST came to nothing.
struct HTTPPostFailure: Error {
  /// For people.
  let message: String
}
