// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// Serves two protocols on one port: the first bytes of a connection determine its protocol.
///
/// No frame begins with `PRI `, because its length would be more than a gigabyte.
final class ProtocolSniffer: ConnectionEndpoint {
  private let framed: any ConnectionEndpoint
  private let http2: any ConnectionEndpoint
  private let loops: [Loop]

  /// - Parameter firstByteTimeout: the time within which a connection must send its first bytes.
  init(
    framed: any ConnectionEndpoint, http2: any ConnectionEndpoint, group: EventLoopGroup, firstByteTimeout: Duration
  ) {
    self.framed = framed
    self.http2 = http2
    loops = group.loops.map { Loop(eventLoop: $0, firstByteTimeout: firstByteTimeout) }
  }

  func open(_ connection: Connection) -> any ConnectionProtocol {
    loops[connection.loop.index].open(connection, framed: framed, http2: http2)
  }

  func drain() {
    for loop in loops { loop.eventLoop.execute { loop.closeSilent() } }
    framed.drain()
    http2.drain()
  }

  func close() {
    for loop in loops { loop.eventLoop.execute { loop.closeSilent() } }
    framed.close()
    http2.close()
  }

  /// The connections of one loop that have sent no bytes yet.
  private final class Loop: @unchecked Sendable {
    // Safe to share: members marked "loop thread" are used on that thread only; the rest never changes.
    let eventLoop: EventLoop
    let firstByteTimeout: Duration
    private var silent: [ObjectIdentifier: SniffedConnection] = [:]  // loop thread
    private var isClosed = false  // loop thread

    init(eventLoop: EventLoop, firstByteTimeout: Duration) {
      self.eventLoop = eventLoop
      self.firstByteTimeout = firstByteTimeout
    }

    func open(
      _ connection: Connection, framed: any ConnectionEndpoint, http2: any ConnectionEndpoint
    ) -> any ConnectionProtocol {
      if isClosed { connection.close() }
      let sniffed = SniffedConnection(
        connection, framed: framed, http2: http2, firstByteTimeout: firstByteTimeout
      ) { [weak self] in self?.silent[ObjectIdentifier($0)] = nil }
      silent[ObjectIdentifier(sniffed)] = sniffed
      return sniffed
    }

    /// Closes these connections without GOAWAY: no bytes were received, so no request can be lost.
    func closeSilent() {
      isClosed = true
      for connection in Array(silent.values) { connection.giveUp() }
    }
  }
}

/// A connection whose protocol has not been determined yet. Loop thread only.
private final class SniffedConnection: ConnectionProtocol {
  private static let http2 = Array("PRI ".utf8)

  private let connection: Connection
  private let framed: any ConnectionEndpoint
  private let http2: any ConnectionEndpoint
  private let decided: (SniffedConnection) -> Void
  private var timer: (any RPCTimer)?

  init(
    _ connection: Connection, framed: any ConnectionEndpoint, http2: any ConnectionEndpoint, firstByteTimeout: Duration,
    decided: @escaping (SniffedConnection) -> Void
  ) {
    self.connection = connection
    self.framed = framed
    self.http2 = http2
    self.decided = decided
    timer = connection.loop.schedule(after: firstByteTimeout) { [weak self] in
      self?.timer = nil
      connection.recordRejection(.silentConnection, "No bytes received for \(firstByteTimeout.seconds) s")
      self?.giveUp()
    }
  }

  func received(_ bytes: UnsafeRawBufferPointer) -> Int {
    let start = bytes.prefix(Self.http2.count)
    if start.count < Self.http2.count, start.elementsEqual(Self.http2.prefix(start.count)) { return 0 }
    let endpoint = start.elementsEqual(Self.http2) ? http2 : framed
    end()
    connection.become(endpoint.open(connection))
    return 0
  }

  func giveUp() {
    end()
    connection.finish()
  }

  func writable() {}

  func inputStalled() {
    giveUp()
  }

  func inputEnded() {
    end()
  }

  func closed() {
    end()
  }

  private func end() {
    timer?.cancel()
    timer = nil
    decided(self)
  }
}
