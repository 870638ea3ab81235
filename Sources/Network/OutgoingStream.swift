public import Core
internal import Glibc
public import TLS

/// A client's connection, plain or TLS, which does not block. One thread at a time; owns its descriptor.
public final class OutgoingStream {
  /// What came of a read or a write.
  public enum Outcome: Sendable {
    /// So many bytes; 0 if there was nothing to read, or no room to write.
    case count(Int)
    /// The connection is over, and why.
    case lost(String)
  }

  private let descriptor: Int32
  private let stream: any ByteStream
  /// What the last read or write that did nothing waits for.
  private var wantsWrite = false

  /// Connects, and with `tls` shakes hands: the server's certificate must be for `serverName`, by default the host.
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

  /// Takes over a socket that is connected and does not block.
  public init(adopting descriptor: Int32) {
    self.descriptor = descriptor
    stream = PlainSocket(descriptor: descriptor)
  }

  deinit {
    // So that the server can tell an end from a cut, if it is there to hear it.
    _ = stream.finishWriting()
    close(descriptor)
  }

  /// What ALPN has come to; nil: plain, or nothing was asked for.
  public var applicationProtocol: String? { (stream as? TLSStream)?.applicationProtocol }

  /// Reads what there is.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    outcome(stream.read(into: buffer))
  }

  /// Writes what there is room for. After ``Outcome/count(_:)`` of 0 the same bytes must come again.
  public func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    outcome(stream.write(bytes))
  }

  /// Waits until it may help to read again (or to write, if asked for). False if the deadline came first.
  public func wait(writable: Bool, deadline: MonotonicTime) -> Bool {
    stream.hasBufferedInput || waitForSocket(descriptor, writable: writable || wantsWrite, deadline: deadline)
  }

  /// Waits until it may help to read again, until another descriptor is readable, or until the deadline.
  public func wait(orReadable other: Int32, deadline: MonotonicTime) {
    guard !stream.hasBufferedInput else { return }
    let events = Int16(POLLIN) | (wantsWrite ? Int16(POLLOUT) : 0)
    var items = [
      pollfd(fd: descriptor, events: events, revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
    ]
    // Rounded up, so that it does not spin through the last millisecond.
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
