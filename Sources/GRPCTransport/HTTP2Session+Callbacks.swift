// SPDX-License-Identifier: Apache-2.0
internal import CNGHTTP2

// Each of these functions converts nghttp2's arguments and calls one method of the connection.

func setServerCallbacks(_ callbacks: OpaquePointer?) {
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, headersBegan)
  nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrame)
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, dataCame)
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, streamClosed)
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frameSent)
  nghttp2_session_callbacks_set_send_data_callback(callbacks, writeReply)
}

private func connection(_ context: UnsafeMutableRawPointer?) -> Unmanaged<GRPCConnection>? {
  context.map { Unmanaged<GRPCConnection>.fromOpaque($0) }
}

private func isRequest(_ frame: UnsafePointer<nghttp2_frame>) -> Bool {
  frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
}

func endsStream(_ header: nghttp2_frame_hd) -> Bool {
  header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
}

private func headersBegan(
  _: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame, let connection = connection(context) else { return fatal }
  let stream = frame.pointee.hd.stream_id
  let isRequest = isRequest(frame)
  connection._withUnsafeGuaranteedRef { $0.headersBegan(stream, isRequest: isRequest) }
  return 0
}

private func onHeader(
  _: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?, _ nameCount: Int,
  _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _: UInt8, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let connection = connection(context) else { return fatal }
  let name = UnsafeRawBufferPointer(start: name, count: nameCount)
  let value = UnsafeRawBufferPointer(start: value, count: valueCount)
  connection._withUnsafeGuaranteedRef { $0.onHeader(name, value) }
  return 0
}

private func onFrame(
  _: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame, let connection = connection(context) else { return fatal }
  let header = frame.pointee.hd
  switch UInt32(header.type) {
  case NGHTTP2_HEADERS.rawValue:
    let isRequest = isRequest(frame)
    connection._withUnsafeGuaranteedRef {
      $0.headersCame(header.stream_id, isRequest: isRequest, endsRequest: endsStream(header))
    }
  case NGHTTP2_DATA.rawValue:
    if endsStream(header) { connection._withUnsafeGuaranteedRef { $0.requestEnded(header.stream_id) } }
  case NGHTTP2_PING.rawValue:
    let payload = withUnsafeBytes(of: frame.pointee.ping.opaque_data) { $0.loadUnaligned(as: UInt64.self) }
    let isAnswer = header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0
    connection._withUnsafeGuaranteedRef { $0.pingCame(payload, isAnswer: isAnswer) }
  default: break
  }
  return 0
}

private func dataCame(
  _: OpaquePointer?, _: UInt8, _ stream: Int32, _ data: UnsafePointer<UInt8>?, _ count: Int,
  _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let connection = connection(context) else { return fatal }
  let bytes = UnsafeRawBufferPointer(start: data, count: count)
  connection._withUnsafeGuaranteedRef { $0.dataCame(stream, bytes) }
  return 0
}

private func streamClosed(
  _: OpaquePointer?, _ stream: Int32, _: UInt32, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let connection = connection(context) else { return fatal }
  connection._withUnsafeGuaranteedRef { $0.streamClosed(stream) }
  return 0
}

/// Called before nghttp2 returns the frame's bytes. Only DATA frames have been written at that time.
private func frameSent(
  _: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame, let connection = connection(context) else { return fatal }
  let header = frame.pointee.hd
  switch UInt32(header.type) {
  case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
    let length = header.type == UInt8(NGHTTP2_DATA.rawValue) ? header.length : 0
    connection._withUnsafeGuaranteedRef {
      $0.replySent(header.stream_id, byteCount: length, isEnd: endsStream(header))
    }
  case NGHTTP2_RST_STREAM.rawValue:
    let code = frame.pointee.rst_stream.error_code
    connection._withUnsafeGuaranteedRef { $0.resetSent(code) }
  case NGHTTP2_GOAWAY.rawValue:
    let code = frame.pointee.goaway.error_code
    connection._withUnsafeGuaranteedRef { $0.onGoAway(code) }
  default: break
  }
  return 0
}

/// Returns the number of bytes of the stream's reply for the next DATA frame.
func readReply(
  _: OpaquePointer?, _ stream: Int32, _: UnsafeMutablePointer<UInt8>?, _ limit: Int,
  _ flags: UnsafeMutablePointer<UInt32>?, _: UnsafeMutablePointer<nghttp2_data_source>?,
  _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let flags, let connection = connection(context) else { return Int(fatal) }
  flags.pointee = NGHTTP2_DATA_FLAG_NO_COPY.rawValue
  switch connection._withUnsafeGuaranteedRef({ $0.replyPart(stream, limit: limit) }) {
  case .bytes(let count): return count
  case .lastBytes(let count):
    flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
    return count
  case .bytesBeforeTrailers(let count):
    flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
    return count
  case .noneYet: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
  }
}

/// Writes a DATA frame: its header, and the bytes that `readReply` has announced.
private func writeReply(
  _: OpaquePointer?, _ frame: UnsafeMutablePointer<nghttp2_frame>?, _ header: UnsafePointer<UInt8>?, _ count: Int,
  _: UnsafeMutablePointer<nghttp2_data_source>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame, let header, let connection = connection(context) else { return fatal }
  let stream = frame.pointee.hd.stream_id
  let bytes = UnsafeRawBufferPointer(start: header, count: HTTP2FrameScanner.headerBytes)
  switch connection._withUnsafeGuaranteedRef({ $0.writeReply(stream, header: bytes, count: count) }) {
  case .written: return 0
  // nghttp2 calls this again for the same frame.
  case .full: return NGHTTP2_ERR_WOULDBLOCK.rawValue
  case .over: return fatal
  }
}

/// The result of a callback that ends the session.
let fatal = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
