internal import Core
internal import Glibc
internal import TestSupport

/// Stands between a server and the database, and does to their connections what a network can do.
///
/// One thread owns all sockets; others change the mode and wake it. Any thread.
final class FaultProxy: Sendable {
  enum Mode: Sendable, Equatable {
    /// As if it were not there.
    case pass
    /// Connections are accepted, and not a byte arrives: a black hole, or half of one.
    case stall(toDatabase: Bool, toServer: Bool)
    /// Each piece of data arrives so much later.
    case delay(milliseconds: ClosedRange<Int>)
    /// Each connection is reset once so many bytes have come from the database.
    case cut(afterBytes: ClosedRange<Int>)
    /// Nobody listens; what was open is reset.
    case refuse
  }

  private struct Orders: Sendable {
    var mode = Mode.pass
    var resets = false
    var stops = false
    /// Connections that were made to the database.
    var linkCount = 0
    /// Connections that it has reset.
    var resetCount = 0
    var thread: OSThread?
  }

  let port: UInt16
  private let orders = Locked(Orders())
  private let wakeUp: Int32

  init(to database: UInt16, seed: UInt64) throws {
    port = try freePort()
    var ends: [Int32] = [-1, -1]
    guard pipe2(&ends, O_CLOEXEC | O_NONBLOCK) == 0 else { throw TestFailure("pipe: \(systemMessage())") }
    wakeUp = ends[1]
    let (port, orders, woken) = (port, orders, ends[0])
    let isListening = Locked(false)
    let thread = OSThread(name: "proxy") {
      var links = ProxyLinks(port: port, database: database, woken: woken, seed: seed)
      while true {
        let now = orders.withLock { orders in
          defer { orders.resets = false }
          orders.linkCount = links.linkCount
          orders.resetCount = links.resetCount
          return orders
        }
        if now.stops { break }
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

  var mode: Mode { orders.withLock { $0.mode } }
  var linkCount: Int { orders.withLock { $0.linkCount } }
  var resetCount: Int { orders.withLock { $0.resetCount } }

  func set(_ mode: Mode) { order { $0.mode = mode } }

  /// Resets every connection that is open now.
  func reset() { order { $0.resets = true } }

  func stop() {
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

/// The sockets of a proxy. Its thread only.
private struct ProxyLinks {
  /// One direction of a connection.
  private struct Flow {
    var from: Int32
    var to: Int32
    /// What has been read, and when it is due.
    var pieces: [(bytes: [UInt8], due: MonotonicTime)] = []
    var hasEnded = false

    var size: Int { pieces.reduce(0) { $0 + $1.bytes.count } }
  }

  private struct Link {
    var toDatabase: Flow
    var toServer: Flow
    /// So many bytes from the database until it is cut.
    var bytesLeft: Int?
    var isDone = false
  }

  private let port: UInt16
  private let database: UInt16
  private let woken: Int32
  private var random: SeededRandom
  private var listener: Int32 = -1
  private var links: [Link] = []
  private(set) var linkCount = 0
  private(set) var resetCount = 0

  /// What waits for a slow reader.
  private static let flowBytesMax = 1 << 20

  init(port: UInt16, database: UInt16, woken: Int32, seed: UInt64) {
    self.port = port
    self.database = database
    self.woken = woken
    random = SeededRandom(seed: seed)
  }

  /// Waits until something can be done, and does it.
  mutating func turn(_ mode: FaultProxy.Mode, resets: Bool) {
    if mode == .refuse {
      if listener >= 0 { Glibc.close(listener) }
      listener = -1
    } else if listener < 0 {
      listener = listenAtLoopback(port)
    }
    if resets || mode == .refuse { for index in links.indices { reset(&links[index]) } }
    links.removeAll { $0.isDone }

    var polled = [
      pollfd(fd: woken, events: Int16(POLLIN), revents: 0), pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
    ]
    let now = MonotonicTime.now
    for link in links {
      polled.append(interest(in: link.toDatabase, link.toServer, mode, now))
      polled.append(interest(in: link.toServer, link.toDatabase, mode, now))
    }
    // Data that is not due yet is looked at again in a moment.
    poll(&polled, nfds_t(polled.count), links.contains { !$0.toServer.pieces.isEmpty } ? 2 : 50)
    var scratch = [UInt8](repeating: 0, count: 64)
    if polled[0].revents != 0 { while read(woken, &scratch, 64) > 0 {} }
    for index in links.indices { serve(&links[index], polled[2 + 2 * index], polled[3 + 2 * index], mode) }
    if polled[1].revents != 0 { accept(mode) }
  }

  /// What the socket that `own` reads from, and `other` writes to, is to be asked for.
  private func interest(in own: Flow, _ other: Flow, _ mode: FaultProxy.Mode, _ now: MonotonicTime) -> pollfd {
    var events: Int32 = 0
    if !own.hasEnded, own.size < Self.flowBytesMax, !isStalled(own, mode) { events |= Int32(POLLIN) }
    if let piece = other.pieces.first, piece.due <= now, !isStalled(other, mode) { events |= Int32(POLLOUT) }
    return pollfd(fd: own.from, events: Int16(events), revents: 0)
  }

  private func isStalled(_ flow: Flow, _ mode: FaultProxy.Mode) -> Bool {
    guard case .stall(let toDatabase, let toServer) = mode else { return false }
    return links.contains { $0.toDatabase.from == flow.from } ? toDatabase : toServer
  }

  private mutating func serve(_ link: inout Link, _ server: pollfd, _ database: pollfd, _ mode: FaultProxy.Mode) {
    let broken = Int16(POLLERR | POLLHUP | POLLNVAL)
    let (toDatabase, toServer) = (isStalled(link.toDatabase, mode), isStalled(link.toServer, mode))
    receive(&link.toDatabase, server, mode)
    let before = link.toServer.size
    receive(&link.toServer, database, mode)
    if case .cut(let range) = mode, link.bytesLeft == nil { link.bytesLeft = .random(in: range, using: &random) }
    if mode == .pass { link.bytesLeft = nil }
    if let left = link.bytesLeft {
      link.bytesLeft = left - (link.toServer.size - before)
      if left <= link.toServer.size - before {
        // Up to there it arrives.
        let excess = link.toServer.size - before - left
        if !link.toServer.pieces.isEmpty, excess > 0 {
          link.toServer.pieces[link.toServer.pieces.count - 1].bytes.removeLast(excess)
        }
        send(&link.toServer)
        reset(&link)
        return
      }
    }
    if !toDatabase { send(&link.toDatabase) }
    if !toServer { send(&link.toServer) }
    // A peer that is gone reads no more; what it said has been read above.
    if server.revents & broken != 0 || database.revents & broken != 0 || link.toDatabase.isOver
      || link.toServer.isOver
    {
      if link.toServer.pieces.isEmpty || server.revents & broken != 0 { reset(&link) }
    }
  }

  private mutating func receive(_ flow: inout Flow, _ polled: pollfd, _ mode: FaultProxy.Mode) {
    guard polled.revents & Int16(POLLIN) != 0 else { return }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = recv(flow.from, &bytes, bytes.count, 0)
    if count > 0 {
      var due = MonotonicTime.now
      if case .delay(let range) = mode {
        due = due.advanced(bySeconds: Double(Int.random(in: range, using: &random)) / 1000)
      }
      // Never before what came earlier.
      due = max(due, flow.pieces.last?.due ?? due)
      flow.pieces.append((Array(bytes[..<count]), due))
    } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
      flow.hasEnded = true
    }
  }

  private func send(_ flow: inout Flow) {
    let now = MonotonicTime.now
    while let piece = flow.pieces.first, piece.due <= now {
      let count = Glibc.send(flow.to, piece.bytes, piece.bytes.count, Int32(MSG_NOSIGNAL))
      guard count > 0 else {
        if count < 0, errno != EAGAIN, errno != EINTR {
          flow.pieces = []
          flow.hasEnded = true
        }
        return
      }
      if count == piece.bytes.count {
        flow.pieces.removeFirst()
      } else {
        flow.pieces[0].bytes.removeFirst(count)
        return
      }
    }
  }

  private mutating func accept(_ mode: FaultProxy.Mode) {
    while listener >= 0 {
      let server = Glibc.accept4(listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue))
      guard server >= 0 else { return }
      guard let upstream = connectToLoopback(database) else {
        resetSocket(server)
        continue
      }
      for socket in [server, upstream] { setNoDelay(socket) }
      linkCount += 1
      links.append(Link(toDatabase: Flow(from: server, to: upstream), toServer: Flow(from: upstream, to: server)))
    }
  }

  private mutating func reset(_ link: inout Link) {
    guard !link.isDone else { return }
    link.isDone = true
    resetCount += 1
    resetSocket(link.toDatabase.from)
    resetSocket(link.toServer.from)
  }

  mutating func close() {
    if listener >= 0 { Glibc.close(listener) }
    for index in links.indices { reset(&links[index]) }
  }
}

extension ProxyLinks.Flow {
  fileprivate var isOver: Bool { hasEnded && pieces.isEmpty }
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
  // On one machine, a connection is made or refused at once.
  guard atLoopback(port, file, connect) else {
    close(file)
    return nil
  }
  _ = fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK)
  return file
}

private func setNoDelay(_ socket: Int32) {
  var on: Int32 = 1
  setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
}

/// Closes with a reset: what is under way is lost.
private func resetSocket(_ socket: Int32) {
  var none = linger(l_onoff: 1, l_linger: 0)
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
  close(socket)
}

private func systemMessage() -> String { String(cString: strerror(errno)) }
