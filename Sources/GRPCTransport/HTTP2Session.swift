internal import CNGHTTP2

/// One side of one HTTP/2 connection: the one wrapper of `nghttp2_session`. One thread at a time; a server's loop.
///
/// Bytes in by ``receive(_:)``, bytes out by ``nextOutput()``; what is submitted in between is only queued. So the
/// callbacks may submit, but must call neither of the two: nghttp2 does not allow it.
final class HTTP2Session {
  enum ErrorCode: UInt32 {
    case none = 0
    case protocolError = 1
    case internalError = 2
    case refusedStream = 7
    case cancel = 8
    case enhanceYourCalm = 11
    case inadequateSecurity = 12

    /// As HTTP/2 writes it: `REFUSED_STREAM`.
    static func name(_ code: UInt32) -> String { String(cString: nghttp2_http2_strerror(code)) }
  }

  private let session: OpaquePointer
  /// What a server tells its client in the first frame, until that is sent.
  private var untoldStreamLimit: Int?

  /// The server's side, whose owner is a `GRPCConnection` and refuses what is more than `openStreams`.
  ///
  /// nghttp2 would end the connection of a client that passes the limit it was told; HTTP/2 has the stream refused, and
  /// no other harmed (RFC 9113, 5.1.2). So nghttp2 knows of no limit, and the frame that tells the client is changed.
  convenience init(limits: GRPCLimits) {
    self.init(
      isServer: true,
      [
        (NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, Int(Int32.max)),
        (NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.headerListBytes),
      ], windowBytes: limits.receiveWindowBytes)
    untoldStreamLimit = limits.openStreams
  }

  /// The client's side, whose owner is a `GRPCClient`. `windowBytes`: of replies that may be on their way at once, for
  /// each call and for all of them.
  convenience init(clientWindowBytes windowBytes: Int) {
    self.init(
      isServer: false,
      [(NGHTTP2_SETTINGS_ENABLE_PUSH, 0), (NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, windowBytes)],
      windowBytes: windowBytes)
  }

  private init(isServer: Bool, _ settings: [(nghttp2_settings_id, Int)], windowBytes: Int) {
    var callbacks: OpaquePointer?
    var options: OpaquePointer?
    defer {
      nghttp2_session_callbacks_del(callbacks)
      nghttp2_option_del(options)
    }
    // These fail without memory only.
    precondition(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0)
    if isServer { setServerCallbacks(callbacks) } else { setClientCallbacks(callbacks) }
    // Closed streams are not kept for a tree of priorities.
    nghttp2_option_set_no_closed_streams(options, 1)
    // `HTTP2RequestRules` checks requests.
    if isServer { nghttp2_option_set_no_http_messaging(options, 1) }
    // `FloodGuard` is stricter with those who mean it, and has room for who ends all of its calls at once.
    configlookup_set_stream_reset_rate_limit(options, 1_000_000, 1_000_000)
    var session: OpaquePointer?
    if isServer {
      nghttp2_session_server_new2(&session, callbacks, nil, options)
    } else {
      nghttp2_session_client_new2(&session, callbacks, nil, options)
    }
    guard let session else { preconditionFailure("no memory for a session") }
    self.session = session
    let entries = settings.map { nghttp2_settings_entry(settings_id: Int32($0.rawValue), value: UInt32($1)) }
    nghttp2_submit_settings(session, 0, entries, entries.count)
    nghttp2_session_set_local_window_size(session, 0, 0, Int32(windowBytes))
  }

  deinit {
    nghttp2_session_del(session)
  }

  /// Who is called from ``receive(_:)`` and ``nextOutput()``; it must outlive the session.
  func setOwner(_ owner: AnyObject) {
    // Unretained: the owner owns the session.
    nghttp2_session_set_user_data(session, Unmanaged.passUnretained(owner).toOpaque())
  }

  // MARK: Bytes

  /// Takes what came. False if the connection cannot go on; what there is to say of it is among the output.
  func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let count = nghttp2_session_mem_recv(session, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
    return count == bytes.count
  }

  /// The next frame to send, or nil. Good until the next call. Replies' bytes do not come this way: see `writeReply` of
  /// the owner.
  func nextOutput() -> UnsafeRawBufferPointer? {
    var data: UnsafePointer<UInt8>?
    let count = nghttp2_session_mem_send(session, &data)
    guard count > 0, let data else { return nil }
    let output = UnsafeRawBufferPointer(start: data, count: count)
    if let limit = untoldStreamLimit {
      untoldStreamLimit = nil
      // nghttp2's own memory, which it has written and does not look at again.
      Self.tell(streamLimit: limit, in: UnsafeMutableRawBufferPointer(mutating: output))
    }
    return output
  }

  /// Of the settings the limit of streams is the first: two bytes say so, four are its value.
  private static func tell(streamLimit: Int, in settings: UnsafeMutableRawBufferPointer) {
    let place = HTTP2FrameScanner.headerBytes
    precondition(settings.count >= place + 6 && settings[place + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue)
    settings.storeBytes(of: UInt32(streamLimit).bigEndian, toByteOffset: place + 2, as: UInt32.self)
  }

  /// Whether there is nothing to wait for any more: the connection may be closed.
  var isOver: Bool { nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }

  // MARK: Streams

  /// What ``tag(of:)`` gives for the stream, as long as it is open. Not 0.
  func setTag(_ tag: Int, of stream: Int32) {
    nghttp2_session_set_stream_user_data(session, stream, UnsafeMutableRawPointer(bitPattern: tag))
  }

  /// 0 for a stream that is not open.
  func tag(of stream: Int32) -> Int {
    Int(bitPattern: nghttp2_session_get_stream_user_data(session, stream))
  }

  /// Begins a call: sends headers, and then what the owner has for the stream. Nil if no stream can be begun any more.
  func submitRequest(_ headers: HTTP2HeaderList) -> Int32? {
    var provider = nghttp2_data_provider(source: nghttp2_data_source(ptr: nil), read_callback: readRequest)
    let stream = headers.withFields {
      nghttp2_submit_request(session, nil, $0.baseAddress, $0.count, &provider, nil)
    }
    return stream > 0 ? stream : nil
  }

  /// Sends headers, and then what the owner has for the stream.
  func submitReply(_ stream: Int32, _ headers: HTTP2Header.Constant) {
    var provider = nghttp2_data_provider(source: nghttp2_data_source(ptr: nil), read_callback: readReply)
    nghttp2_submit_response(session, stream, headers.fields.baseAddress, headers.fields.count, &provider)
  }

  /// Sends headers and the end of the stream.
  func submitEnd(_ stream: Int32, _ headers: HTTP2Header.Constant) {
    nghttp2_submit_response(session, stream, headers.fields.baseAddress, headers.fields.count, nil)
  }

  /// Sends headers and the end of the stream.
  func submitEnd(_ stream: Int32, _ headers: HTTP2HeaderList) {
    _ = headers.withFields { nghttp2_submit_response(session, stream, $0.baseAddress, $0.count, nil) }
  }

  /// Ends a reply. Only when the owner has just said that there are no more bytes.
  func submitTrailers(_ stream: Int32, _ headers: HTTP2Header.Constant) {
    nghttp2_submit_trailer(session, stream, headers.fields.baseAddress, headers.fields.count)
  }

  func submitTrailers(_ stream: Int32, _ headers: HTTP2HeaderList) {
    _ = headers.withFields { nghttp2_submit_trailer(session, stream, $0.baseAddress, $0.count) }
  }

  /// The owner has bytes for the stream again, after it had none.
  func resume(_ stream: Int32) {
    nghttp2_session_resume_data(session, stream)
  }

  func reset(_ stream: Int32, _ code: ErrorCode) {
    nghttp2_submit_rst_stream(session, 0, stream, code.rawValue)
  }

  /// Whether the client has ended its side of the stream, or the stream is gone.
  func hasRequestEnded(_ stream: Int32) -> Bool {
    nghttp2_session_get_stream_remote_close(session, stream) != 0
  }

  // MARK: The connection

  /// The first of two GOAWAYs: no stream is refused yet.
  func submitShutdownNotice() {
    nghttp2_submit_shutdown_notice(session)
  }

  /// No stream after those that have come by now.
  func submitGoAway(_ code: ErrorCode, _ reason: StaticString) {
    nghttp2_submit_goaway(
      session, 0, nghttp2_session_get_last_proc_stream_id(session), code.rawValue, reason.utf8Start,
      reason.utf8CodeUnitCount)
  }

  func submitPing(_ payload: UInt64) {
    withUnsafeBytes(of: payload) {
      _ = nghttp2_submit_ping(session, 0, $0.assumingMemoryBound(to: UInt8.self).baseAddress)
    }
  }
}
