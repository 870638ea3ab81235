// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
public import ConfigLookupCore
internal import ConfigLookupRPC
public import ConfigLookupTLS
internal import Glibc
internal import Synchronization

/// Accepts connections on one event loop and distributes them over all loops of the group (round robin).
public final class Listener: @unchecked Sendable, LoopResident {
  // This is safe to share: members marked "loop thread" are used by the thread of `loop` only, the others are constant.

  /// Creates the protocol handler of a new connection. It is called on the thread of the connection's event loop.
  public typealias Accept = @Sendable (Connection) -> any ConnectionProtocol

  /// The address on which the listener listens, with the actual port.
  public let address: SocketAddress
  fileprivate let loop: EventLoop
  private let loops: [EventLoop]
  private let descriptor: Int32
  private let port: Port
  private let accept: Accept
  private var event: OpaquePointer?  // loop thread
  private var pause: (any RPCTimer)?  // loop thread
  private var nextLoop = 0  // loop thread
  private var isClosed = false  // loop thread

  /// Binds, listens, and accepts connections from then on.
  ///
  /// - Parameters:
  ///   - name: The address to listen on.
  ///   - group: The event loops; the first accepts the connections.
  ///   - quota: Counts and limits the open connections.
  ///   - limits: The limits of each connection.
  ///   - tls: The TLS configuration; nil for cleartext connections.
  ///   - logger: Receives log lines about peers.
  ///   - report: Counts and logs rejections.
  ///   - accept: Creates the protocol handler of a new connection.
  /// - Throws: If the listener cannot listen on the address.
  public init(
    _ name: HostAndPort, group: EventLoopGroup, quota: ConnectionQuota, limits: ConnectionLimits = ConnectionLimits(),
    tls: TLSServer? = nil, logger: Logger, report: LimitReport, accept: @escaping Accept
  ) throws(NetworkError) {
    descriptor = try listeningSocket(name)
    guard let address = SocketAddress.local(of: descriptor) else {
      Glibc.close(descriptor)
      throw NetworkError(.system, "\"\(name)\": \(systemMessage(errno))")
    }
    self.address = address
    self.loops = group.loops
    self.loop = group.loops[0]
    port = Port(limits: limits, quota: quota, tls: tls, logger: logger, report: report)
    self.accept = accept
    if !loop.tryExecute({ self.start() }) { Glibc.close(descriptor) }
  }

  /// Stops accepting connections, soon. May be called from any thread.
  public func close() {
    loop.execute { self.loopStops() }
  }

  private func start() {
    loop.add(self)
    // The pointer is unretained, because the event is freed in `loopStops`, and the loop holds `self` until then.
    event = event_new(
      loop.base, descriptor, Int16(EV_READ | EV_PERSIST), listenerReadable, Unmanaged.passUnretained(self).toOpaque())
    event_add(event, nil)
  }

  func loopStops() {
    guard !isClosed else { return }
    isClosed = true
    pause?.cancel()
    pause = nil
    if let event { event_free(event) }
    event = nil
    Glibc.close(descriptor)
    loop.remove(self)
  }

  fileprivate func acceptSome() {
    for _ in 0..<ConnectionLimits.acceptsPerIteration {
      let socket = configlookup_accept4(
        descriptor, nil, nil, Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue))
      guard socket >= 0 else {
        switch errno {
        case EAGAIN: return
        // The peer has closed the connection already, or a signal was received.
        case ECONNABORTED, EINTR, EPROTO, EPERM: continue
        case let code: return pauseAccepting(for: code)
        }
      }
      let host = PeerHost(of: socket)
      if isRefused(socket, host) {
        loop.counters.add(to: NetworkCounter.connectionsRefused.rawValue)
        Glibc.close(socket)
      } else {
        deal(socket, host)
      }
    }
  }

  /// Takes a slot for the connection. Returns true if it reaches a limit, and has to be closed.
  private func isRefused(_ socket: Int32, _ host: PeerHost) -> Bool {
    func peer() -> String { SocketAddress.peer(of: socket)?.description ?? "unknown" }
    let buffers = loop.account.budget
    guard !buffers.isExceeded else {
      buffers.recordRejection("Connection rejected: too many bytes are buffered for slow clients", peer: peer())
      return true
    }
    guard let limit = port.quota.take(host) else { return false }
    let number = limit == .connections ? port.quota.limit : port.quota.hostLimit
    port.report.recordRejection(limit, "Connection rejected: \(number) connections are open", peer: peer())
    return true
  }

  private func deal(_ socket: Int32, _ host: PeerHost) {
    setOption(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    setOption(socket, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, ConnectionLimits.kernelUnsentBytes)
    let target = loops[nextLoop]
    nextLoop = (nextLoop + 1) % loops.count
    let isTaken = target.tryExecute { [port, accept] in
      target.counters.add(to: NetworkCounter.connectionsAccepted.rawValue)
      guard let connection = Connection(loop: target, descriptor: socket, host: host, port: port) else {
        Glibc.close(socket)
        return port.quota.release(host)
      }
      connection.start(accept(connection))
    }
    if !isTaken {
      Glibc.close(socket)
      port.quota.release(host)
    }
  }

  /// Pauses accepting when there are no descriptors or no memory: the socket stays readable, so an immediate retry
  /// would be a busy loop.
  private func pauseAccepting(for code: Int32) {
    port.peers.acceptFailed(code, listen: address, connections: port.quota.count)
    event_del(event)
    pause = loop.schedule(after: ConnectionLimits.acceptPause) { [weak self] in
      guard let self else { return }
      pause = nil
      event_add(event, nil)
    }
  }
}

private func listenerReadable(_: Int32, _: Int16, _ argument: UnsafeMutableRawPointer?) {
  guard let argument else { return }
  let listener = Unmanaged<Listener>.fromOpaque(argument).takeUnretainedValue()
  listener.loop.beginWork()
  listener.acceptSome()
}

/// Binds a socket to the first address of the name on which it can listen.
func listeningSocket(_ name: HostAndPort) throws(NetworkError) -> Int32 {
  var problem = NetworkError(.unknownHost, "\"\(name)\": no address found")
  for address in try SocketAddress.resolve(name, passive: true) {
    let descriptor = socket(
      address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else {
      problem = bindError(name, errno)
      continue
    }
    // A restarted server must not wait until the kernel has released the connections of its predecessor.
    setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if address.withSockaddr({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, SOMAXCONN) == 0 {
      return descriptor
    }
    problem = bindError(name, errno)
    close(descriptor)
  }
  throw problem
}

private func bindError(_ name: HostAndPort, _ code: Int32) -> NetworkError {
  switch code {
  case EADDRINUSE:
    NetworkError(.addressInUse, "\"\(name)\": another process listens there; stop it, or give another port (0: any)")
  case EADDRNOTAVAIL:
    NetworkError(.addressNotAvailable, "\"\(name)\": not an address of this machine; give one, or 0.0.0.0 for all")
  case EACCES:
    NetworkError(.notPermitted, "\"\(name)\": not permitted; give a port of 1024 or above")
  default:
    NetworkError(.system, "\"\(name)\": \(systemMessage(code))")
  }
}

private func setOption(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
  // Errors are ignored: an option that is rejected affects performance, not correctness.
  withUnsafePointer(to: value) { _ = setsockopt(socket, level, option, $0, socklen_t(MemoryLayout<Int32>.size)) }
}
