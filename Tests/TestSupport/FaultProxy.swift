// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc

/// A TCP proxy between a server and the database that simulates network faults.
///
/// One thread owns all sockets. Any thread may change the mode, which wakes that thread.
public final class FaultProxy: Sendable {
  /// The behavior of the proxy.
  public enum Mode: Sendable, Equatable {
    /// Forwards all data.
    case pass
    /// Accepts connections but forwards no data, in one direction or in both: a black hole.
    case stall(toDatabase: Bool, toServer: Bool)
    /// Forwards each piece of data after a random delay in this range.
    case delay(milliseconds: ClosedRange<Int>)
    /// Resets each connection after a random number of bytes from the database, in this range.
    case cut(afterBytes: ClosedRange<Int>)
    /// Does not listen, and resets open connections.
    case refuse
  }

  private struct Orders: Sendable {
    var mode = Mode.pass
    var resets = false
    var stallsOpen = false
    var stops = false
    /// The number of connections that were made to the database.
    var linkCount = 0
    /// The number of connections that the proxy has reset.
    var resetCount = 0
    var thread: OSThread?
  }

  /// The port on 127.0.0.1 on which the proxy listens.
  public let port: UInt16
  private let orders = Locked(Orders())
  private let wakeUp: Int32

  /// Starts a proxy on a free port.
  ///
  /// - Parameters:
  ///   - database: the port on 127.0.0.1 that connections are forwarded to.
  ///   - seed: the seed of all random decisions.
  /// - Throws: ``TestFailure`` if the sockets cannot be created.
  public init(to database: UInt16, seed: UInt64) throws {
    port = try freePort()
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw TestFailure("pipe: \(String(cString: strerror(errno)))") }
    for end in ends { makeOurs(end) }
    wakeUp = ends[1]
    let (port, orders, woken) = (port, orders, ends[0])
    let isListening = Locked(false)
    let thread = OSThread(name: "proxy") {
      var links = ProxyLinks(port: port, database: database, woken: woken, seed: seed)
      while true {
        let now = orders.withLock { orders in
          defer {
            orders.resets = false
            orders.stallsOpen = false
          }
          orders.linkCount = links.linkCount
          orders.resetCount = links.resetCount
          return orders
        }
        if now.stops { break }
        if now.stallsOpen { links.stallOpen() }
        links.turn(now.mode, resets: now.resets)
        isListening.withLock { $0 = true }
        isListening.signal()
      }
      links.close()
      close(woken)
    }
    orders.withLock { $0.thread = thread }
    _ = isListening.wait(until: soon()) { $0 ? true : nil }
  }

  /// The current mode.
  public var mode: Mode { orders.withLock { $0.mode } }
  /// The number of connections that were made to the database.
  public var linkCount: Int { orders.withLock { $0.linkCount } }
  /// The number of connections that the proxy has reset.
  public var resetCount: Int { orders.withLock { $0.resetCount } }

  /// Changes the mode for all connections.
  ///
  /// - Parameter mode: the new mode.
  public func set(_ mode: Mode) { order { $0.mode = mode } }

  /// Resets every open connection.
  public func reset() { order { $0.resets = true } }

  /// Stops forwarding data, and the end of the stream, on every connection that is open now. The mode applies to new
  /// connections.
  public func stallOpen() { order { $0.stallsOpen = true } }

  /// Resets every connection and ends the proxy's thread.
  public func stop() {
    order { $0.stops = true }
    let thread = orders.withLock { orders in
      defer { orders.thread = nil }
      return orders.thread
    }
    guard let thread else { return }
    thread.join()
    close(wakeUp)
  }

  private func order(_ change: (inout Orders) -> Void) {
    orders.withLock(change)
    var byte: UInt8 = 0
    _ = write(wakeUp, &byte, 1)
  }
}

/// The sockets of a proxy. Only its thread uses them.
private struct ProxyLinks {
  private let port: UInt16
  private let database: UInt16
  private let woken: Int32
  private var random: SeededRandom
  private var listener: Int32 = -1
  private var links: [Link] = []
  private(set) var linkCount = 0
  private(set) var resetCount = 0

  init(port: UInt16, database: UInt16, woken: Int32, seed: UInt64) {
    self.port = port
    self.database = database
    self.woken = woken
    random = SeededRandom(seed: seed)
  }

  /// Waits for events and handles them.
  mutating func turn(_ mode: FaultProxy.Mode, resets: Bool) {
    if mode == .refuse {
      if listener >= 0 { Glibc.close(listener) }
      listener = -1
    } else if listener < 0 {
      listener = listenAtLoopback(port)
    }
    if resets || mode == .refuse { for index in links.indices { links[index].reset() } }
    resetCount += links.count { $0.isDone }
    links.removeAll { $0.isDone }

    var polled = [
      pollfd(fd: woken, events: Int16(POLLIN), revents: 0), pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
    ]
    let now = MonotonicTime.now
    for link in links { polled += link.interests(mode, now) }
    // While data is delayed, the wait is short.
    poll(&polled, nfds_t(polled.count), links.contains { $0.isWaiting } ? 2 : 50)
    var scratch = [UInt8](repeating: 0, count: 64)
    if polled[0].revents != 0 { while read(woken, &scratch, 64) > 0 {} }
    for index in links.indices {
      links[index].serve(server: polled[2 + 2 * index], database: polled[3 + 2 * index], mode, &random)
    }
    if polled[1].revents != 0 { accept() }
  }

  mutating func stallOpen() {
    for index in links.indices { links[index].isStalled = true }
  }

  private mutating func accept() {
    while listener >= 0 {
      let server = Glibc.accept(listener, nil, nil)
      guard server >= 0 else { return }
      makeOurs(server)
      guard let upstream = connectToLoopback(database) else {
        resetSocket(server)
        continue
      }
      for socket in [server, upstream] { setNoDelay(socket) }
      linkCount += 1
      links.append(Link(server: server, database: upstream))
    }
  }

  mutating func close() {
    if listener >= 0 { Glibc.close(listener) }
    for index in links.indices { links[index].reset() }
  }
}

/// A connection of the server, with the proxy's connection to the database.
private struct Link {
  private var toDatabase: Flow
  private var toServer: Flow
  /// The number of bytes from the database until the connection is reset.
  private var bytesLeft: Int?
  private(set) var isDone = false
  /// Whether no data is forwarded, regardless of the mode.
  var isStalled = false

  init(server: Int32, database: Int32) {
    toDatabase = Flow(from: server, to: database)
    toServer = Flow(from: database, to: server)
  }

  /// Whether data is waiting to be sent.
  var isWaiting: Bool { !toDatabase.pieces.isEmpty || !toServer.pieces.isEmpty }

  /// The events to poll for on the server's socket and on the database's.
  func interests(_ mode: FaultProxy.Mode, _ now: MonotonicTime) -> [pollfd] {
    let (up, down) = isStalled ? (true, true) : mode.stalls
    return [
      pollfd(
        fd: toDatabase.from, events: (up ? 0 : toDatabase.wantsInput) | (down ? 0 : toServer.output(now)), revents: 0),
      pollfd(
        fd: toServer.from, events: (down ? 0 : toServer.wantsInput) | (up ? 0 : toDatabase.output(now)), revents: 0),
    ]
  }

  mutating func serve(server: pollfd, database: pollfd, _ mode: FaultProxy.Mode, _ random: inout SeededRandom) {
    let (up, down) = isStalled ? (true, true) : mode.stalls
    if server.revents & Int16(POLLIN) != 0 { _ = toDatabase.receive(mode, &random) }
    var received = 0
    if database.revents & Int16(POLLIN) != 0 { received = toServer.receive(mode, &random) }
    if case .cut(let range) = mode {
      let left = (bytesLeft ?? .random(in: range, using: &random)) - received
      bytesLeft = left
      if left <= 0 {
        // The bytes up to the limit are still forwarded.
        toServer.removeLast(-left)
        toServer.send()
        reset()
        return
      }
    } else {
      bytesLeft = nil
    }
    if !up { toDatabase.send() }
    if !down { toServer.send() }
    let broken = Int16(POLLERR | POLLHUP | POLLNVAL)
    // A peer that has closed the connection reads no more data. The data that it sent before has been read above.
    if server.revents & broken != 0 || toDatabase.isOver || toServer.isOver
      || (database.revents & broken != 0 && toServer.pieces.isEmpty)
    {
      reset()
    }
  }

  mutating func reset() {
    guard !isDone else { return }
    isDone = true
    resetSocket(toDatabase.from)
    resetSocket(toServer.from)
  }
}

/// One direction of a connection.
private struct Flow {
  let from: Int32
  let to: Int32
  /// The received data, with the times at which it may be sent.
  private(set) var pieces: [(bytes: [UInt8], due: MonotonicTime)] = []
  private var hasEnded = false

  /// The maximum number of bytes that are buffered for a slow reader.
  private static let bytesMax = 1 << 20

  init(from: Int32, to: Int32) {
    self.from = from
    self.to = to
  }

  var isOver: Bool { hasEnded && pieces.isEmpty }

  var wantsInput: Int16 {
    !hasEnded && pieces.reduce(0) { $0 + $1.bytes.count } < Self.bytesMax ? Int16(POLLIN) : 0
  }

  func output(_ now: MonotonicTime) -> Int16 {
    if let piece = pieces.first, piece.due <= now { Int16(POLLOUT) } else { 0 }
  }

  /// Receives data. Returns the number of bytes.
  mutating func receive(_ mode: FaultProxy.Mode, _ random: inout SeededRandom) -> Int {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = recv(from, &bytes, bytes.count, 0)
    guard count > 0 else {
      if count == 0 || (errno != EAGAIN && errno != EINTR) { hasEnded = true }
      return 0
    }
    var due = MonotonicTime.now
    if case .delay(let range) = mode {
      due = due.advanced(by: .milliseconds(Int.random(in: range, using: &random)))
    }
    // Never before the data that was received earlier.
    pieces.append((Array(bytes[..<count]), max(due, pieces.last?.due ?? due)))
    return count
  }

  /// Removes the last bytes that were received.
  mutating func removeLast(_ count: Int) {
    guard let last = pieces.indices.last else { return }
    pieces[last].bytes.removeLast(min(count, pieces[last].bytes.count))
    if pieces[last].bytes.isEmpty { pieces.removeLast() }
  }

  /// Sends the data that is due, as far as the peer accepts it.
  mutating func send() {
    let now = MonotonicTime.now
    while let piece = pieces.first, piece.due <= now {
      let count = Glibc.send(to, piece.bytes, piece.bytes.count, Int32(MSG_NOSIGNAL))
      if count == piece.bytes.count {
        pieces.removeFirst()
      } else if count > 0 {
        pieces[0].bytes.removeFirst(count)
        return
      } else {
        if errno != EAGAIN, errno != EINTR {
          pieces = []
          hasEnded = true
        }
        return
      }
    }
  }
}

extension FaultProxy.Mode {
  fileprivate var stalls: (toDatabase: Bool, toServer: Bool) {
    if case .stall(let toDatabase, let toServer) = self { (toDatabase, toServer) } else { (false, false) }
  }
}

// MARK: - Sockets

private func listenAtLoopback(_ port: UInt16) -> Int32 {
  let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
  var on: Int32 = 1
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
  guard file >= 0, atLoopback(port, file, bind), listen(file, 128) == 0 else {
    if file >= 0 { close(file) }
    return -1
  }
  return file
}

private func connectToLoopback(_ port: UInt16) -> Int32? {
  let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  guard file >= 0 else { return nil }
  // On one machine, a connection is established or refused immediately.
  guard atLoopback(port, file, connect) else {
    close(file)
    return nil
  }
  makeOurs(file)
  return file
}

private func setNoDelay(_ socket: Int32) {
  var on: Int32 = 1
  setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
}

/// Closes a socket with a reset, so that data in transit is lost.
private func resetSocket(_ socket: Int32) {
  var none = linger(l_onoff: 1, l_linger: 0)
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
  close(socket)
}

/// Makes a file non-blocking, and closes it in child processes.
private func makeOurs(_ file: Int32) {
  _ = fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK)
  _ = fcntl(file, F_SETFD, FD_CLOEXEC)
}
