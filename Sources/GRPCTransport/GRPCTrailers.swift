// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// The headers that end a call.
enum GRPCTrailers {
  /// The trailers that follow the last message.
  static func list(_ status: RPCStatus, _ metadata: RPCMetadata) -> HTTP2HeaderList {
    var headers = HTTP2HeaderList()
    append(status, metadata, to: &headers)
    return headers
  }

  /// The headers of a reply without messages: `Trailers-Only`.
  static func only(_ status: RPCStatus, _ metadata: RPCMetadata, _ isEncodingUnknown: Bool) -> HTTP2HeaderList {
    var headers = HTTP2HeaderList()
    headers.append(":status", "200")
    headers.append("content-type", "application/grpc")
    if isEncodingUnknown { headers.append("grpc-accept-encoding", "identity") }
    append(status, metadata, to: &headers)
    return headers
  }

  private static func append(_ status: RPCStatus, _ metadata: RPCMetadata, to headers: inout HTTP2HeaderList) {
    headers.append("grpc-status", "\(status.code.rawValue)")
    if !status.message.isEmpty {
      headers.append("grpc-message", isVarying: true) { GRPCText.percentEncoded(status.message, to: &$0) }
    }
    if let details = status.details {
      headers.append("grpc-status-details-bin", isVarying: true) {
        GRPCText.base64(GRPCStatusDetails.encode(status, details), to: &$0)
      }
      // Clients that retry automatically wait for this time before they retry.
      if let milliseconds = details.retryDelayMilliseconds {
        headers.append("grpc-retry-pushback-ms", "\(milliseconds)")
      }
    }
    for pair in metadata.pairs {
      headers.append(pair.key, isVarying: true) { GRPCText.percentEncoded(pair.value, to: &$0) }
    }
  }
}
