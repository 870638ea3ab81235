// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupTLS
internal import Glibc

/// A client's non-blocking connection, with or without TLS. It owns its descriptor and may be used by one thread at a
/// time.
public final class OutgoingStream {
  /// The result of a read or a write.
  public enum Outcome: Sendable {
    /// The number of bytes; 0 if there was nothing to read, or no room to write.
    case count(Int)
    /// The connection has ended, for this reason.
    case lost(String)
  }

  private let descriptor: Int32
  private let stream: any ByteStream
  /// Whether the last read or write without a result waits until the socket is writable.
  private var wantsWrite = false

  /// Connects to a server, and completes the TLS handshake if there is `tls`. It blocks the calling thread.
  ///
  /// - Parameters:
  ///   - address: The address of the server.
  ///   - tls: The TLS configuration; nil for cleartext.
  ///   - serverName: The name for which the server's certificate must be valid; nil for the host of the address.
  ///   - deadline: The time by which the connection must be established.
  /// - Throws: If the connection cannot be established.
  public init(
    to address: HostAndPort, tls: TLSContext? = nil, serverName: String? = nil, deadline: MonotonicTime
  ) throws(NetworkError) {
    let descriptor = try connectSocket(to: address, deadline: deadline)
    guard let tls else {
      self.descriptor = descriptor
      stream = PlainSocket(descriptor: descriptor)
      return
    }
    do throws(NetworkError) {
      guard let session = TLSSession(connecting: descriptor, to: serverName ?? address.host, tls) else {
        throw NetworkError(.tls, "\"\(address)\": out of memory for TLS")
      }
      let stream = TLSStream(session, descriptor: descriptor)
      try shakeHands(stream, descriptor, address, deadline)
      self.stream = stream
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  /// Takes over a connected socket.
  ///
  /// - Parameter descriptor: The socket, which must be non-blocking.
  public init(adopting descriptor: Int32) {
    self.descriptor = descriptor
    stream = PlainSocket(descriptor: descriptor)
  }

  deinit {
    // This lets the server distinguish an orderly close from a lost connection.
    _ = stream.finishWriting()
    close(descriptor)
  }

  /// The protocol that ALPN selected; nil if none was offered or the connection does not use TLS.
  public var applicationProtocol: String? { (stream as? TLSStream)?.applicationProtocol }

  /// Reads the bytes that are available. It does not block.
  ///
  /// - Parameter buffer: The memory to read into.
  /// - Returns: The number of bytes, or the reason for which the connection has ended.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    outcome(stream.read(into: buffer))
  }

  /// Writes the bytes for which there is room. It does not block. After an ``Outcome/count(_:)`` of 0 the same bytes
  /// must be passed again.
  ///
  /// - Parameter bytes: The bytes to write.
  /// - Returns: The number of bytes, or the reason for which the connection has ended.
  public func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    outcome(stream.write(bytes))
  }

  /// Waits until a read may succeed, or also until a write may.
  ///
  /// - Parameters:
  ///   - writable: Whether the wait also ends when a write may succeed.
  ///   - deadline: The time at which the wait ends.
  /// - Returns: False if the deadline passed first.
  public func wait(writable: Bool, deadline: MonotonicTime) -> Bool {
    stream.hasBufferedInput || waitForSocket(descriptor, writable: writable || wantsWrite, deadline: deadline)
  }

  /// Waits until a read may succeed, another descriptor is readable, or the deadline has passed.
  ///
  /// - Parameters:
  ///   - other: The other descriptor.
  ///   - deadline: The time at which the wait ends.
  public func wait(orReadable other: Int32, deadline: MonotonicTime) {
    guard !stream.hasBufferedInput else { return }
    let events = Int16(POLLIN) | (wantsWrite ? Int16(POLLOUT) : 0)
    var items = [
      pollfd(fd: descriptor, events: events, revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
    ]
    // The timeout is rounded up, to avoid a busy loop in the last millisecond.
    _ = poll(&items, 2, Int32(min(deadline.milliseconds(since: .now) + 1, 1_000_000)))
  }

  private func outcome(_ result: ByteStreamResult) -> Outcome {
    wantsWrite = false
    switch result {
    case .count(let count): return .count(count)
    case .wantsRead: return .count(0)
    case .wantsWrite:
      wantsWrite = true
      return .count(0)
    case .end: return .lost("closed the connection")
    case .failed(let problem): return .lost("\(problem)")
    }
  }
}

private func shakeHands(
  _ stream: TLSStream, _ descriptor: Int32, _ address: HostAndPort, _ deadline: MonotonicTime
) throws(NetworkError) {
  while true {
    let writable: Bool
    switch stream.handshake() {
    case .count: return
    case .wantsRead: writable = false
    case .wantsWrite: writable = true
    case .end: throw NetworkError(.tls, "\"\(address)\": the server closed the connection during the TLS handshake")
    case .failed(let problem): throw NetworkError(.tls, "\"\(address)\": the TLS handshake failed: \(problem)")
    }
    guard waitForSocket(descriptor, writable: writable, deadline: deadline) else {
      throw NetworkError(.tls, "\"\(address)\": the TLS handshake timed out")
    }
  }
}
