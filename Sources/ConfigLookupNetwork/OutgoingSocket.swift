// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
public import ConfigLookupCore
internal import Glibc

/// Connects to one of the addresses of a name by the rules of RFC 8305 (Happy Eyeballs).
///
/// The first address is tried at once. The next one follows when the one before has failed, or has not answered within
/// a quarter of a second; the earlier attempts continue, so an address that drops packets does not delay the others.
/// The first connection that is established is used. IPv6 and IPv4 addresses alternate. The function blocks the calling
/// thread until then, or until the deadline, and must not be called on an event loop's thread.
///
/// - Parameters:
///   - name: The name and port of the server.
///   - deadline: The time by which the connection must be established.
///   - resolver: Resolves the name.
/// - Returns: The socket, which is non-blocking.
/// - Throws: The problem of each address.
public func connectSocket(
  to name: HostAndPort, deadline: MonotonicTime, resolver: AddressResolver = .system
) throws(NetworkError) -> Int32 {
  let addresses = takingTurns(try resolver.addresses(of: name, deadline: deadline))
  var race = ConnectionRace(addresses: addresses, deadline: deadline)
  defer { race.closeAll() }
  if let descriptor = race.run() {
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    return descriptor
  }
  guard !race.problems.isEmpty else { throw NetworkError(.unknownHost, "\"\(name)\": no address found") }
  throw NetworkError(
    .system, "\"\(name)\": cannot connect to \(race.problems.joined(separator: ", ")); is the server running?")
}

/// The addresses with alternating families, beginning with the family of the first (RFC 8305, section 4).
private func takingTurns(_ addresses: [SocketAddress]) -> [SocketAddress] {
  var first = addresses.filter { $0.family == addresses.first?.family }[...]
  var second = addresses.filter { $0.family != addresses.first?.family }[...]
  var result: [SocketAddress] = []
  while !first.isEmpty || !second.isEmpty {
    if let address = first.popFirst() { result.append(address) }
    if let address = second.popFirst() { result.append(address) }
  }
  return result
}

/// Concurrent attempts to connect to several addresses. The first that succeeds is used.
private struct ConnectionRace {
  private var waiting: ArraySlice<SocketAddress>
  private var attempts: [(descriptor: Int32, address: SocketAddress)] = []
  private let deadline: MonotonicTime
  /// Time after which the next attempt is started.
  private let delay: Duration
  /// The failures as `ADDRESS: PROBLEM`, in the order in which the attempts ended.
  private(set) var problems: [String] = []

  init(addresses: [SocketAddress], deadline: MonotonicTime) {
    waiting = addresses[...]
    self.deadline = deadline
    // If there is little time, each address still gets a part of it.
    let share = deadline.duration(since: .now) / (addresses.count + 1)
    delay = min(ConnectionLimits.connectionAttemptDelay, share)
  }

  /// Returns the socket of the first connection that is established; nil if there is none.
  mutating func run() -> Int32? {
    while true {
      if let address = waiting.popFirst(), let descriptor = begin(address) { return descriptor }
      let isLast = waiting.isEmpty
      if attempts.isEmpty {
        if isLast { return nil }
        continue
      }
      let next = isLast ? deadline : min(deadline, .now.advanced(by: delay))
      if let descriptor = wait(until: next) { return descriptor }
      guard MonotonicTime.now < deadline else {
        for attempt in attempts { fail(attempt.address, ETIMEDOUT) }
        for address in waiting { fail(address, ETIMEDOUT) }
        return nil
      }
    }
  }

  /// Closes the attempts that are still in progress.
  mutating func closeAll() {
    for attempt in attempts { close(attempt.descriptor) }
    attempts = []
  }

  /// Starts an attempt. Returns its socket if it is connected at once.
  private mutating func begin(_ address: SocketAddress) -> Int32? {
    let descriptor = socket(
      address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else {
      fail(address, errno)
      return nil
    }
    if address.withSockaddr({ connect(descriptor, $0, $1) }) == 0 { return descriptor }
    let code = errno
    if code == EINPROGRESS {
      attempts.append((descriptor, address))
    } else {
      close(descriptor)
      fail(address, code)
    }
    return nil
  }

  /// Waits until an attempt ends, or until `time`. Returns the socket of an attempt that succeeded.
  private mutating func wait(until time: MonotonicTime) -> Int32? {
    // The timeout is rounded up, to avoid a busy loop in the last millisecond.
    let milliseconds = time <= .now ? 0 : Int32(min(time.milliseconds(since: .now) + 1, 1_000_000))
    var items = attempts.map { pollfd(fd: $0.descriptor, events: Int16(POLLOUT), revents: 0) }
    guard poll(&items, nfds_t(items.count), milliseconds) > 0 else { return nil }
    for index in items.indices.reversed() where items[index].revents != 0 {
      let attempt = attempts.remove(at: index)
      let code = outcome(of: attempt.descriptor)
      if code == 0 { return attempt.descriptor }
      close(attempt.descriptor)
      fail(attempt.address, code)
    }
    return nil
  }

  private mutating func fail(_ address: SocketAddress, _ code: Int32) {
    problems.append("\(address): \(systemMessage(code))")
  }
}

private func outcome(of descriptor: Int32) -> Int32 {
  var code: Int32 = 0
  var length = socklen_t(4)
  return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 ? code : errno
}

/// Waits until a socket is readable, or also until it is writable.
///
/// - Parameters:
///   - descriptor: The socket.
///   - writable: Whether the wait also ends when the socket is writable.
///   - deadline: The time at which the wait ends.
/// - Returns: False if the deadline passed first.
public func waitForSocket(_ descriptor: Int32, writable: Bool, deadline: MonotonicTime) -> Bool {
  while true {
    var item = pollfd(fd: descriptor, events: Int16(POLLIN) | (writable ? Int16(POLLOUT) : 0), revents: 0)
    // The timeout is rounded up, to avoid a busy loop in the last millisecond.
    let milliseconds = min(deadline.milliseconds(since: .now) + 1, 1_000_000)
    if deadline <= .now { return poll(&item, 1, 0) > 0 }
    if poll(&item, 1, Int32(milliseconds)) > 0 { return true }
  }
}
