// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc
internal import TestSupport

/// The state that the thread of a server and the threads of a test share.
final class SharedCluster: @unchecked Sendable {
  // Safe to share: `cluster` is used only while `lock` is held.
  private let lock = Locked(0)
  private var cluster: Cluster
  private let wakeUp: Int32

  init(_ cluster: Cluster, wakeUp: Int32) {
    self.cluster = cluster
    self.wakeUp = wakeUp
  }

  /// Calls a closure with the cluster at the present time, and wakes the server's thread.
  func change<Result>(_ body: (inout Cluster) -> Result) -> Result {
    defer {
      var byte: UInt8 = 0
      _ = write(wakeUp, &byte, 1)
    }
    return use { cluster in
      cluster.advance(now: MonotonicTime.now.modelSeconds, wallNow: WallTime.now.milliseconds)
      return body(&cluster)
    }
  }

  /// Calls a closure with the cluster.
  func use<Result>(_ body: (inout Cluster) -> Result) -> Result { lock.withLock { _ in body(&cluster) } }
}

extension MonotonicTime {
  /// The time on the model's clock.
  var modelSeconds: Double { Double(nanoseconds) / 1e9 }
}

/// The sockets of a cluster. One thread uses them, and runs every command.
struct WireServer {
  /// A connection of a client.
  private final class Connection {
    let socket: Int32
    let endpoint: Endpoint
    let number: Int
    /// How often the connections of the process had been closed when this one was made.
    let generation: Int
    var applicationName = ""
    var input: [UInt8] = []
    var output: [UInt8] = []
    /// The command that waits, and until when at most.
    var waiting: (message: WireRequest, attempt: Attempt, until: Double)?
    var isOver = false

    init(_ socket: Int32, _ endpoint: Endpoint, number: Int, generation: Int) {
      self.socket = socket
      self.endpoint = endpoint
      self.number = number
      self.generation = generation
    }
  }

  private let shared: SharedCluster
  private let ports: [Endpoint: UInt16]
  private let woken: Int32
  private var listeners: [Endpoint: Int32] = [:]
  private var connections: [Connection] = []
  private var connectionCount = 0
  private var replyCount: UInt32 = 0
  private var changeCount = -1
  private var topologyCount: Int64 = -1
  private var scratch = [UInt8](repeating: 0, count: 1 << 18)

  init(_ shared: SharedCluster, ports: [Endpoint: UInt16], woken: Int32) {
    self.shared = shared
    self.ports = ports
    self.woken = woken
  }

  /// Waits for events and handles them.
  mutating func turn() {
    let (silent, isDelayed) = shared.use { cluster in
      for (endpoint, port) in ports { listen(endpoint, port, cluster.isUp(endpoint)) }
      return (cluster.silent, cluster.isDelayed)
    }
    let sockets = Array(listeners)
    var polled = [pollfd(fd: woken, events: Int16(POLLIN), revents: 0)]
    for (endpoint, socket) in sockets {
      polled.append(pollfd(fd: silent.contains(endpoint) ? -1 : socket, events: Int16(POLLIN), revents: 0))
    }
    for connection in connections {
      let events = Int16(POLLIN) | (connection.output.isEmpty ? 0 : Int16(POLLOUT))
      let isSilent = silent.contains(connection.endpoint)
      polled.append(pollfd(fd: isSilent ? -1 : connection.socket, events: events, revents: 0))
    }
    let now = MonotonicTime.now.modelSeconds
    let next = connections.compactMap { $0.waiting?.until }.min() ?? .infinity
    let milliseconds = max(0, min(isDelayed ? 5 : 100, ((next - now) * 1000).rounded(.up)))
    poll(&polled, nfds_t(polled.count), Int32(milliseconds))

    if polled[0].revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 64)
      while read(woken, &bytes, 64) > 0 {}
    }
    let first = 1 + sockets.count
    for (index, connection) in connections.enumerated() where polled[first + index].revents & ~Int16(POLLOUT) != 0 {
      receive(connection)
    }
    run(silent)
    for connection in connections where !connection.output.isEmpty && !silent.contains(connection.endpoint) {
      send(connection)
    }
    for (index, one) in sockets.enumerated() where polled[1 + index].revents != 0 { accept(one.value, one.key) }
    for connection in connections where connection.isOver { Glibc.close(connection.socket) }
    connections.removeAll(where: \.isOver)
  }

  mutating func close() {
    for connection in connections { Glibc.close(connection.socket) }
    for socket in listeners.values { Glibc.close(socket) }
  }

  // MARK: Sockets

  private mutating func listen(_ endpoint: Endpoint, _ port: UInt16, _ isUp: Bool) {
    if isUp, listeners[endpoint] == nil {
      let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      var on: Int32 = 1
      setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      if file >= 0, atLoopback(port, file, bind), Glibc.listen(file, 128) == 0 {
        listeners[endpoint] = file
      } else if file >= 0 {
        Glibc.close(file)
      }
    } else if !isUp, let file = listeners.removeValue(forKey: endpoint) {
      Glibc.close(file)
    }
  }

  private mutating func accept(_ listener: Int32, _ endpoint: Endpoint) {
    while true {
      let file = Glibc.accept(listener, nil, nil)
      guard file >= 0 else { return }
      makeOurs(file)
      var on: Int32 = 1
      setsockopt(file, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      connectionCount += 1
      connections.append(
        Connection(
          file, endpoint, number: connectionCount, generation: shared.use { $0.disconnections(endpoint) }))
    }
  }

  private mutating func receive(_ connection: Connection) {
    while true {
      let count = recv(connection.socket, &scratch, scratch.count, 0)
      guard count > 0 else {
        if count == 0 || (errno != EAGAIN && errno != EINTR) { connection.isOver = true }
        return
      }
      connection.input.append(contentsOf: scratch[..<count])
      if count < scratch.count { return }
    }
  }

  private func send(_ connection: Connection) {
    let count = Glibc.send(connection.socket, connection.output, connection.output.count, Int32(MSG_NOSIGNAL))
    if count == connection.output.count {
      connection.output.removeAll(keepingCapacity: count < 1 << 20)
    } else if count > 0 {
      connection.output.removeFirst(count)
    } else if errno != EAGAIN, errno != EINTR {
      connection.isOver = true
    }
  }

  // MARK: Commands

  /// Runs the commands that have arrived, then tries those that wait, as long as that changes something.
  private mutating func run(_ silent: Set<Endpoint>) {
    let (shared, connections) = (shared, connections)
    shared.use { cluster in
      let now = MonotonicTime.now.modelSeconds
      cluster.advance(now: now, wallNow: WallTime.now.milliseconds)
      for connection in connections where !connection.isOver && !silent.contains(connection.endpoint) {
        if connection.generation != cluster.disconnections(connection.endpoint) || !cluster.isUp(connection.endpoint) {
          connection.isOver = true
        }
        while connection.waiting == nil, !connection.isOver, let message = takeMessage(connection) {
          attempt(message, Attempt(startedAt: now), connection, &cluster)
        }
      }
      repeat {
        let isChanged = changeCount != cluster.changeCount
        let isNewTopology = topologyCount != cluster.topologyCount
        (changeCount, topologyCount) = (cluster.changeCount, cluster.topologyCount)
        for connection in connections where !silent.contains(connection.endpoint) && !connection.isOver {
          guard let waiting = connection.waiting else { continue }
          let mayContinue = waiting.message.request.command == "hello" ? isNewTopology : isChanged
          guard mayContinue || waiting.until <= now else { continue }
          connection.waiting = nil
          attempt(waiting.message, waiting.attempt, connection, &cluster)
        }
      } while changeCount != cluster.changeCount
    }
  }

  private func takeMessage(_ connection: Connection) -> WireRequest? {
    guard let length = WireRequest.length(of: connection.input[...]) else { return nil }
    guard connection.input.count >= length else { return nil }
    guard length > 16, var message = WireRequest(connection.input[..<length]) else {
      connection.isOver = true
      return nil
    }
    connection.input.removeFirst(length)
    let name = message.request.body.field("client")?.document?.field("application")?.document?.field("name")?.text
    if let name { connection.applicationName = name }
    message.request.connection = connection.number
    message.request.applicationName = connection.applicationName
    return message
  }

  private mutating func attempt(
    _ message: WireRequest, _ attempt: Attempt, _ connection: Connection, _ cluster: inout Cluster
  ) {
    var attempt = attempt
    switch cluster.handle(message.request, at: connection.endpoint, &attempt) {
    case .reply(let document):
      guard message.expectsReply else { return }
      replyCount += 1
      message.appendReply(document, id: replyCount, to: &connection.output)
    case .wait(let limit): connection.waiting = (message, attempt, limit)
    case .hangUp: connection.isOver = true
    }
  }
}

/// Makes a file non-blocking, and closes it in child processes.
func makeOurs(_ file: Int32) {
  _ = fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK)
  _ = fcntl(file, F_SETFD, FD_CLOEXEC)
}
