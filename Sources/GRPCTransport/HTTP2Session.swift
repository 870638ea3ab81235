// SPDX-License-Identifier: Apache-2.0
internal import CNGHTTP2

/// One side of an HTTP/2 connection. It is the only wrapper of `nghttp2_session`. It may be used by one thread at a
/// time; on a server this is the thread of the event loop.
///
/// ``receive(_:)`` takes input and ``nextOutput()`` returns output; frames that are submitted in between are queued.
/// The callbacks may submit frames, but must call neither of the two, because nghttp2 does not allow it.
final class HTTP2Session {
  enum ErrorCode: UInt32 {
    case none = 0
    case protocolError = 1
    case internalError = 2
    case refusedStream = 7
    case cancel = 8
    case enhanceYourCalm = 11
    case inadequateSecurity = 12

    /// The name of an error code in HTTP/2, such as `REFUSED_STREAM`.
    static func name(_ code: UInt32) -> String { String(cString: nghttp2_http2_strerror(code)) }
  }

  private let session: OpaquePointer
  /// The limit of streams to be written into the first SETTINGS frame; nil after that frame has been sent.
  private var untoldStreamLimit: Int?

  /// Creates the server side. Its owner is a `GRPCConnection`, which refuses streams above `openStreams`.
  ///
  /// nghttp2 would end the connection of a client that exceeds the announced limit. HTTP/2 requires only that the
  /// stream is refused, without harm to the others (RFC 9113, 5.1.2). Therefore nghttp2 gets no limit, and the SETTINGS
  /// frame that announces it to the client is modified.
  convenience init(limits: GRPCLimits) {
    self.init(
      isServer: true,
      [
        (NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, Int(Int32.max)),
        (NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.headerListBytes),
      ], windowBytes: limits.receiveWindowBytes)
    untoldStreamLimit = limits.openStreams
  }

  /// Creates the client side, whose owner is a `GRPCClient`. `windowBytes` is the receive window in bytes, for each
  /// call and for the connection.
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
    // These functions fail only if there is no memory.
    precondition(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0)
    if isServer { setServerCallbacks(callbacks) } else { setClientCallbacks(callbacks) }
    // Closed streams are not kept for a priority tree.
    nghttp2_option_set_no_closed_streams(options, 1)
    // `HTTP2RequestRules` checks requests instead.
    if isServer { nghttp2_option_set_no_http_messaging(options, 1) }
    // `FloodGuard` is stricter against attacks, and permits a client to cancel all of its calls at once.
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

  /// Sets the object whose methods are called from ``receive(_:)`` and ``nextOutput()``. It must outlive the session.
  func setOwner(_ owner: AnyObject) {
    // The reference is not retained, because the owner owns the session.
    nghttp2_session_set_user_data(session, Unmanaged.passUnretained(owner).toOpaque())
  }

  // MARK: Bytes

  /// Processes received bytes. Returns false if the connection cannot continue; the output then contains the GOAWAY.
  func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let count = nghttp2_session_mem_recv(session, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
    return count == bytes.count
  }

  /// The next frame to send, or nil. It is valid until the next call. DATA frames of replies are not returned: see
  /// `writeReply` of the owner.
  func nextOutput() -> UnsafeRawBufferPointer? {
    var data: UnsafePointer<UInt8>?
    let count = nghttp2_session_mem_send(session, &data)
    guard count > 0, let data else { return nil }
    let output = UnsafeRawBufferPointer(start: data, count: count)
    if let limit = untoldStreamLimit {
      untoldStreamLimit = nil
      // This memory belongs to nghttp2, which has written it and does not read it again.
      Self.tell(streamLimit: limit, in: UnsafeMutableRawBufferPointer(mutating: output))
    }
    return output
  }

  /// Writes the limit of streams, which is the first of the settings: two bytes of identifier and four of value.
  private static func tell(streamLimit: Int, in settings: UnsafeMutableRawBufferPointer) {
    let place = HTTP2FrameScanner.headerBytes
    precondition(settings.count >= place + 6 && settings[place + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue)
    settings.storeBytes(of: UInt32(streamLimit).bigEndian, toByteOffset: place + 2, as: UInt32.self)
  }

  /// Whether nghttp2 neither reads nor writes any more, so that the connection may be closed.
  var isOver: Bool { nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }

  // MARK: Streams

  /// Sets the value that ``tag(of:)`` returns for the stream while it is open. It must not be 0.
  func setTag(_ tag: Int, of stream: Int32) {
    nghttp2_session_set_stream_user_data(session, stream, UnsafeMutableRawPointer(bitPattern: tag))
  }

  /// The tag of a stream; 0 if it is not open.
  func tag(of stream: Int32) -> Int {
    Int(bitPattern: nghttp2_session_get_stream_user_data(session, stream))
  }

  /// Sends the headers of a call, and then the bytes that the owner has for the stream. Returns the stream's id; nil if
  /// no further stream can be opened.
  func submitRequest(_ headers: HTTP2HeaderList) -> Int32? {
    var provider = nghttp2_data_provider(source: nghttp2_data_source(ptr: nil), read_callback: readRequest)
    let stream = headers.withFields {
      nghttp2_submit_request(session, nil, $0.baseAddress, $0.count, &provider, nil)
    }
    return stream > 0 ? stream : nil
  }

  /// Sends headers, and then the bytes that the owner has for the stream.
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

  /// Sends the trailers that end a reply. To be called only when the owner has just reported that there are no more
  /// bytes.
  func submitTrailers(_ stream: Int32, _ headers: HTTP2Header.Constant) {
    nghttp2_submit_trailer(session, stream, headers.fields.baseAddress, headers.fields.count)
  }

  func submitTrailers(_ stream: Int32, _ headers: HTTP2HeaderList) {
    _ = headers.withFields { nghttp2_submit_trailer(session, stream, $0.baseAddress, $0.count) }
  }

  /// Resumes a stream for which the owner has bytes again, after it had none.
  func resume(_ stream: Int32) {
    nghttp2_session_resume_data(session, stream)
  }

  func reset(_ stream: Int32, _ code: ErrorCode) {
    nghttp2_submit_rst_stream(session, 0, stream, code.rawValue)
  }

  /// Whether the client has ended its side of the stream, or the stream has been closed.
  func hasRequestEnded(_ stream: Int32) -> Bool {
    nghttp2_session_get_stream_remote_close(session, stream) != 0
  }

  // MARK: The connection

  /// Submits the first of two GOAWAYs, which refuses no stream yet.
  func submitShutdownNotice() {
    nghttp2_submit_shutdown_notice(session)
  }

  /// Submits a GOAWAY that refuses streams after those that have been received by now.
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
