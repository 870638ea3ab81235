// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
public import ConfigLookupCore
internal import ConfigLookupRPC
public import ConfigLookupTLS
internal import Glibc

/// The HTTP server for probes, scrapers and operators.
///
/// It uses libevent's evhttp on its own event loop, so that requests to it and lookups do not delay each other. It
/// starts when it is created, and must be stopped by its owner.
public final class OperationsHTTP: @unchecked Sendable, LoopResident {
  // This is safe to share: members marked "loop thread" are used by the thread of `loop` only, the others are constant.

  /// The address on which the server listens, with the actual port.
  public let address: SocketAddress
  private let loop: EventLoop
  private let routes: [String: OperationsRoute]
  private let limits: OperationsLimits
  private let requestGuard: HTTPRequestGuard
  private let refusedRequests = CounterTable(count: HTTPRequestGuard.Refusal.allCases.count)
  /// Nil for a cleartext port.
  private let tls: TLSServer?
  private let peerLog: PeerLog
  private let report: LimitReport
  private let descriptor: Int32
  private var server: OpaquePointer?  // loop thread; owns listener, descriptor and connections
  private var listener: OpaquePointer?  // loop thread
  private var peers: OperationsPeers  // loop thread
  private var look: (any RPCTimer)?  // loop thread
  private var unreviewed = 0  // loop thread; connections accepted since the last review

  /// Binds, listens, and answers requests from then on.
  ///
  /// - Parameters:
  ///   - name: The address to listen on.
  ///   - routes: The routes by path.
  ///   - limits: The limits of connections and requests.
  ///   - allowedHosts: Hosts that requests may name in `Host` in addition to the addresses of the port. See
  ///     ``HTTPRequestGuard``.
  ///   - tls: The TLS configuration; nil for a cleartext port.
  ///   - logger: Receives log lines about peers.
  ///   - report: Counts and logs rejections.
  /// - Throws: If the server cannot listen on the address.
  public init(
    _ name: HostAndPort, routes: [String: OperationsRoute], limits: OperationsLimits = OperationsLimits(),
    allowedHosts: [HTTPRequestGuard.AllowedHost] = [], tls: TLSServer? = nil, logger: Logger = .silent,
    report: LimitReport = LimitReport()
  ) throws(NetworkError) {
    let descriptor = try listeningSocket(name)
    do throws(NetworkError) {
      guard let address = SocketAddress.local(of: descriptor) else {
        throw NetworkError(.system, "\"\(name)\": \(systemMessage(errno))")
      }
      self.address = address
      loop = try EventLoop(index: 0, threadName: "http")
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
    self.routes = routes
    self.limits = limits
    self.tls = tls
    requestGuard = HTTPRequestGuard(listen: name, allowedHosts: allowedHosts)
    peerLog = PeerLog(logger)
    self.report = report
    peers = OperationsPeers(limits: limits)
    let outcome = Locked<Bool?>(nil)
    loop.execute {
      let isStarted = self.start()
      outcome.withLock { $0 = isStarted }
      outcome.signal()
    }
    guard outcome.wait(until: .now.advanced(by: .seconds(3600)), { $0 }) == true else {
      loop.stop()
      throw NetworkError(.system, "\"\(name)\": out of memory for an HTTP server")
    }
  }

  /// Closes the port and every connection, and waits for the thread to end. To be called once, from another thread.
  public func stop() {
    loop.stop()
  }

  // MARK: Start and stop, loop thread

  private func start() -> Bool {
    blockBrokenPipeSignal()
    guard let server = evhttp_new(loop.base) else {
      close(descriptor)
      return false
    }
    guard let socket = evhttp_accept_socket_with_handle(server, descriptor),
      let listener = evhttp_bound_socket_get_listener(socket)
    else {
      evhttp_free(server)
      close(descriptor)
      return false
    }
    self.server = server
    self.listener = listener
    loop.add(self)
    evhttp_set_max_headers_size(server, limits.headerBytes)
    evhttp_set_max_body_size(server, limits.bodyBytes)
    evhttp_set_default_content_type(server, "text/html; charset=utf-8")
    // evhttp reads the rest of a body that is too long. Otherwise a reset would overtake the reply that reports the
    // error.
    evhttp_set_flags(server, EVHTTP_SERVER_LINGERING_CLOSE)
    evhttp_set_allowed_methods(server, everyMethod)
    // The pointer is unretained, because the server is freed in `loopStops`, and the loop holds `self` until then.
    let pointer = Unmanaged.passUnretained(self).toOpaque()
    evhttp_set_gencb(server, requestArrived, pointer)
    evhttp_set_bevcb(server, connectionArrived, pointer)
    evconnlistener_set_error_cb(listener, acceptFailed)
    lookLater()
    return true
  }

  func loopStops() {
    guard let server else { return }
    look?.cancel()
    look = nil
    listener = nil
    self.server = nil
    evhttp_free(server)
    loop.remove(self)
  }

  // MARK: Connections, loop thread

  /// Called for each connection that evhttp accepts. Returns its stream; nil lets evhttp create a cleartext stream.
  ///
  /// The descriptor is not known yet. The connection is reviewed when all connections of the same batch, or a limited
  /// number of them, have been accepted.
  fileprivate func accepted() -> OpaquePointer? {
    unreviewed += 1
    if unreviewed == 1 { loop.execute { self.review() } }
    if unreviewed >= ConnectionLimits.acceptsPerReview { evconnlistener_disable(listener) }
    guard let tls else { return nil }
    let session = LentSession.make(tls.context) { [weak self] in self?.handshakeEnded($0, $1) }
    let stream = session.flatMap {
      bufferevent_openssl_socket_new(
        loop.base, -1, $0, BUFFEREVENT_SSL_ACCEPTING, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    }
    // A cleartext stream instead would answer without TLS.
    precondition(stream != nil, "no memory for a TLS connection")
    bufferevent_openssl_set_allow_dirty_shutdown(stream, 1)
    return stream
  }

  private func handshakeEnded(_ failure: TLSFailure?, _ socket: Int32) {
    guard let failure else { return loop.counters.add(to: NetworkCounter.handshakes.rawValue) }
    loop.handshakeFailures.add(to: failure.reason.index)
    peerLog.failed(failure, peer: SocketAddress.peer(of: socket)?.description ?? "unknown")
  }

  /// Returns the number of failed handshakes. May be called from any thread.
  ///
  /// - Parameter reason: The reason for the failures.
  /// - Returns: The number of handshakes.
  public func handshakeFailures(_ reason: TLSFailure.Reason) -> UInt64 {
    loop.handshakeFailures.read(reason.index)
  }

  private func lookLater() {
    look = loop.schedule(after: limits.checkInterval) { [weak self] in self?.lookAtPeers() }
  }

  private func lookAtPeers() {
    review()
    lookLater()
  }

  /// Closes the connections that have been idle for too long and those above the limits, and resumes accepting.
  private func review() {
    guard server != nil else { return }
    unreviewed = 0
    for closing in peers.review(OperationsPeers.sockets(of: loop.base, except: descriptor), now: .now) {
      if let limit = closing.limit {
        report.recordRejection(
          limit, message(limit), peer: SocketAddress.peer(of: closing.socket)?.description ?? "unknown")
      }
      // evhttp reads the end of the stream, and frees the connection.
      shutdown(closing.socket, Int32(SHUT_RDWR))
    }
    // This has no effect if the listener is enabled.
    evconnlistener_enable(listener)
  }

  private func message(_ limit: ServerLimit) -> String {
    let action = "HTTP connection closed"
    return switch limit {
    case .httpFirstRequest: "\(action): no complete request within \(limits.firstRequestTimeout.seconds) s"
    case .httpConnectionsPerAddress:
      "\(action) in favor of a newer one: \(limits.connectionsPerAddress) are open from its address"
    default: "\(action) in favor of a newer one: \(limits.connections) are open"
    }
  }

  // MARK: Requests, loop thread

  fileprivate func answer(_ request: OpaquePointer) {
    let stream = evhttp_request_get_connection(request).flatMap { evhttp_connection_get_bufferevent($0) }
    if let stream { peers.heardFrom(bufferevent_getfd(stream), now: .now) }
    let uri = evhttp_request_get_evhttp_uri(request)
    let head = HTTPRequestGuard.Head(of: request, on: stream)
    if let refusal = requestGuard.refusal(of: head) { return refuse(request, refusal, head, stream) }
    let path = text(uri.flatMap { evhttp_uri_get_path($0) }) ?? "/"
    let method = evhttp_request_get_command(request)
    guard let route = routes[path] else {
      return send(OperationsReply(status: 404, contentType: plainText, body: "No such path\n"), to: request)
    }
    switch (route.method, method) {
    case (.get, EVHTTP_REQ_GET), (.get, EVHTTP_REQ_HEAD), (.post, EVHTTP_REQ_POST): break
    default:
      addHeader("Allow", route.allowed, to: request)
      let body = "This path allows \(route.allowed)\n"
      return send(OperationsReply(status: 405, contentType: plainText, body: body), to: request)
    }
    // Two values are rejected: a proxy may have checked one, and this server would use the other.
    let authorization = head.authorizations.count > 1 ? "" : head.authorizations.first
    let session = tls == nil ? nil : stream.flatMap { bufferevent_openssl_get_ssl($0) }
    let question = OperationsRequest(
      query: text(uri.flatMap { evhttp_uri_get_query($0) }), body: body(of: request),
      authorization: authorization,
      certificateNames: session.map { LentSession.peerNames(of: $0).map(\.description) } ?? [],
      peer: stream.flatMap { SocketAddress.peer(of: bufferevent_getfd($0)) }?.description ?? "unknown")
    send(route.answer(question), to: request)
  }

  private func refuse(
    _ request: OpaquePointer, _ refusal: HTTPRequestGuard.Refusal, _ head: HTTPRequestGuard.Head,
    _ stream: OpaquePointer?
  ) {
    refusedRequests.add(to: refusal.index)
    peerLog.refused(
      refusal, head, peer: stream.flatMap { SocketAddress.peer(of: bufferevent_getfd($0)) }?.description ?? "unknown")
    send(OperationsReply(status: refusal.status, contentType: plainText, body: "\(refusal.advice)\n"), to: request)
  }

  /// Returns the number of requests that were rejected since the start. May be called from any thread.
  ///
  /// - Parameter refusal: The reason for the rejections.
  /// - Returns: The number of requests.
  public func refusals(_ refusal: HTTPRequestGuard.Refusal) -> UInt64 {
    refusedRequests.read(refusal.index)
  }

  private func body(of request: OpaquePointer) -> [UInt8] {
    guard let buffer = evhttp_request_get_input_buffer(request) else { return [] }
    return Array(unsafeUninitializedCapacity: evbuffer_get_length(buffer)) { bytes, count in
      count = max(0, Int(evbuffer_remove(buffer, bytes.baseAddress, bytes.count)))
    }
  }

  private func send(_ reply: OperationsReply, to request: OpaquePointer) {
    addHeader("Content-Type", reply.contentType, to: request)
    addHeader("Content-Length", "\(reply.body.utf8.count)", to: request)
    addHeader("Cache-Control", "no-store", to: request)
    if reply.status == 401 { addHeader("WWW-Authenticate", "Bearer", to: request) }
    let isHead = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD
    let buffer = isHead ? nil : evbuffer_new()
    defer { if let buffer { evbuffer_free(buffer) } }
    var body = reply.body
    if let buffer { _ = body.withUTF8 { evbuffer_add(buffer, $0.baseAddress, $0.count) } }
    let stream = evhttp_request_get_connection(request).flatMap { evhttp_connection_get_bufferevent($0) }
    evhttp_send_reply(request, Int32(reply.status), nil, buffer)
    // Nothing is read until the reply has been written: evhttp takes the end of the peer's side for the end of both,
    // and would discard the rest of the reply. It enables reading again when it has written the reply.
    if let stream { bufferevent_disable(stream, Int16(EV_READ)) }
  }

  private func addHeader(_ name: String, _ value: String, to request: OpaquePointer) {
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value)
  }
}

private let plainText = "text/plain; charset=utf-8"

/// All methods that evhttp supports, so that this server answers 405. Other methods receive 501 from evhttp.
private let everyMethod: UInt16 = [
  EVHTTP_REQ_GET, EVHTTP_REQ_POST, EVHTTP_REQ_HEAD, EVHTTP_REQ_PUT, EVHTTP_REQ_DELETE, EVHTTP_REQ_OPTIONS,
  EVHTTP_REQ_TRACE, EVHTTP_REQ_CONNECT, EVHTTP_REQ_PATCH,
].reduce(0) { $0 | UInt16(truncatingIfNeeded: $1.rawValue) }

/// Blocks SIGPIPE on this thread, because libevent writes without MSG_NOSIGNAL: a write to a closed connection must be
/// an error and not a signal.
private func blockBrokenPipeSignal() {
  var set = sigset_t()
  sigemptyset(&set)
  sigaddset(&set, SIGPIPE)
  pthread_sigmask(SIG_BLOCK, &set, nil)
}

private func text(_ characters: UnsafePointer<CChar>?) -> String? {
  characters.map { String(cString: $0) }
}

private func requestArrived(_ request: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) {
  guard let request, let argument else { return }
  Unmanaged<OperationsHTTP>.fromOpaque(argument).takeUnretainedValue().answer(request)
}

/// Called by evhttp to create the stream of a new connection.
private func connectionArrived(_: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> OpaquePointer? {
  guard let argument else { return nil }
  return Unmanaged<OperationsHTTP>.fromOpaque(argument).takeUnretainedValue().accepted()
}

/// Disables the listener when there are no descriptors or no memory, because an immediate retry would be a busy loop.
/// The next review of the connections enables it again. The argument belongs to evhttp.
private func acceptFailed(_ listener: OpaquePointer?, _: UnsafeMutableRawPointer?) {
  guard let listener else { return }
  evconnlistener_disable(listener)
}
