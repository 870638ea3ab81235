internal import CLibevent
public import Core
internal import Glibc

/// Connects to a name, over all of its addresses, as RFC 8305 (Happy Eyeballs) has it.
///
/// The first address is tried at once. The next one follows when the one before has failed, or has not answered within
/// a quarter of a second, and the earlier ones stay under way: an address that drops packets costs the others nothing.
/// The first connection that comes about is used. IPv6 and IPv4 addresses take turns. Blocks the calling thread until
/// then, or until the deadline; not for a thread of an event loop.
///
/// - Parameter resolver: what gives the addresses of the name.
/// - Returns: the socket, which does not block.
/// - Throws: what was wrong with each address.
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

/// The addresses with their families in turn, beginning with the family of the first (RFC 8305, section 4).
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

/// Attempts to connect to several addresses, of which the first that succeeds is used.
private struct ConnectionRace {
  private var waiting: ArraySlice<SocketAddress>
  private var attempts: [(descriptor: Int32, address: SocketAddress)] = []
  private let deadline: MonotonicTime
  /// How long an attempt is alone before the next one joins it.
  private let delay: Double
  /// `ADDRESS: what is wrong`, in the order in which the attempts ended.
  private(set) var problems: [String] = []

  init(addresses: [SocketAddress], deadline: MonotonicTime) {
    waiting = addresses[...]
    self.deadline = deadline
    // Where time is short, each address still gets a part of it.
    let share = deadline.seconds(since: .now) / Double(addresses.count + 1)
    delay = min(Limits.connectionAttemptDelaySeconds, max(0, share))
  }

  /// Gives the socket of the first connection that comes about; nil if there is none.
  mutating func run() -> Int32? {
    while true {
      if let address = waiting.popFirst(), let descriptor = begin(address) { return descriptor }
      let isLast = waiting.isEmpty
      if attempts.isEmpty {
        if isLast { return nil }
        continue
      }
      let next = isLast ? deadline : min(deadline, .now.advanced(bySeconds: delay))
      if let descriptor = wait(until: next) { return descriptor }
      guard MonotonicTime.now < deadline else {
        for attempt in attempts { fail(attempt.address, ETIMEDOUT) }
        for address in waiting { fail(address, ETIMEDOUT) }
        return nil
      }
    }
  }

  /// Closes the attempts that are still under way.
  mutating func closeAll() {
    for attempt in attempts { close(attempt.descriptor) }
    attempts = []
  }

  /// Begins an attempt. Gives its socket if it is connected at once.
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

  /// Waits until an attempt ends, or until `time`. Gives the socket of one that has succeeded.
  private mutating func wait(until time: MonotonicTime) -> Int32? {
    // Rounded up, so that it does not spin through the last millisecond.
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

/// Waits until the socket is readable (or writable, if asked for). False if the deadline came first.
public func waitForSocket(_ descriptor: Int32, writable: Bool, deadline: MonotonicTime) -> Bool {
  while true {
    var item = pollfd(fd: descriptor, events: Int16(POLLIN) | (writable ? Int16(POLLOUT) : 0), revents: 0)
    // Rounded up, so that it does not spin through the last millisecond.
    let milliseconds = min(deadline.milliseconds(since: .now) + 1, 1_000_000)
    if deadline <= .now { return poll(&item, 1, 0) > 0 }
    if poll(&item, 1, Int32(milliseconds)) > 0 { return true }
  }
}
