// SPDX-License-Identifier: Apache-2.0
internal import CNGHTTP2

// Each of these functions converts nghttp2's arguments and calls one method of the client.

func setClientCallbacks(_ callbacks: OpaquePointer?) {
  nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrame)
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, dataCame)
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, streamClosed)
}

private func client(_ context: UnsafeMutableRawPointer?) -> GRPCClient? {
  context.map { Unmanaged<GRPCClient>.fromOpaque($0).takeUnretainedValue() }
}

private func onHeader(
  _: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?, _ nameCount: Int,
  _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _: UInt8, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame, let client = client(context) else { return fatal }
  client.onHeader(
    frame.pointee.hd.stream_id, UnsafeRawBufferPointer(start: name, count: nameCount),
    UnsafeRawBufferPointer(start: value, count: valueCount))
  return 0
}

private func onFrame(
  _: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame, let client = client(context) else { return fatal }
  let header = frame.pointee.hd
  switch UInt32(header.type) {
  case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
    if endsStream(header) { client.replyEnded(header.stream_id) }
  case NGHTTP2_PING.rawValue where header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
    client.pongCame(withUnsafeBytes(of: frame.pointee.ping.opaque_data) { $0.loadUnaligned(as: UInt64.self) })
  case NGHTTP2_GOAWAY.rawValue:
    let goAway = frame.pointee.goaway
    client.goAwayCame(
      goAway.error_code, UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len))
  default: break
  }
  return 0
}

private func dataCame(
  _: OpaquePointer?, _: UInt8, _ stream: Int32, _ data: UnsafePointer<UInt8>?, _ count: Int,
  _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let client = client(context) else { return fatal }
  client.dataCame(stream, UnsafeRawBufferPointer(start: data, count: count))
  return 0
}

private func streamClosed(
  _: OpaquePointer?, _ stream: Int32, _ code: UInt32, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let client = client(context) else { return fatal }
  client.streamClosed(stream, code)
  return 0
}

/// Fills a DATA frame of a request.
func readRequest(
  _: OpaquePointer?, _ stream: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ limit: Int,
  _ flags: UnsafeMutablePointer<UInt32>?, _: UnsafeMutablePointer<nghttp2_data_source>?,
  _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let flags, let client = client(context) else { return Int(fatal) }
  let (count, isEnd) = client.requestPart(stream, into: UnsafeMutableRawBufferPointer(start: buffer, count: limit))
  if isEnd { flags.pointee = NGHTTP2_DATA_FLAG_EOF.rawValue }
  return count
}
