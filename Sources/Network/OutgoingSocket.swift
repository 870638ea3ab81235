internal import CLibevent
public import Core
internal import Glibc

/// Connects to the first address of the name that answers, and gives the socket, which does not block.
///
/// Waits until then, or until the deadline. Any thread but a loop's.
public func connectSocket(to name: HostAndPort, deadline: MonotonicTime) throws(NetworkError) -> Int32 {
  var problem = NetworkError(.unknownHost, "\"\(name)\": no address")
  for address in try SocketAddress.resolve(name, passive: false) {
    let descriptor = socket(
      address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else {
      problem = NetworkError(.system, "\"\(name)\": \(systemMessage(errno))")
      continue
    }
    var code: Int32 = 0
    if address.withSockaddr({ connect(descriptor, $0, $1) }) != 0 { code = errno }
    if code == EINPROGRESS { code = outcome(of: descriptor, deadline) }
    if code == 0 {
      var one: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
      return descriptor
    }
    close(descriptor)
    problem = NetworkError(
      .system, "\"\(name)\": cannot connect to \(address): \(systemMessage(code)); is the server running?")
  }
  throw problem
}

private func outcome(of descriptor: Int32, _ deadline: MonotonicTime) -> Int32 {
  guard waitForSocket(descriptor, writable: true, deadline: deadline) else { return ETIMEDOUT }
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
