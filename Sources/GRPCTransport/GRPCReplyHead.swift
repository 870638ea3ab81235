// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// The headers and trailers of a reply, which are added one by one as they are received.
struct GRPCReplyHead {
  private var httpStatus = 0
  /// Whether the bytes that follow are gRPC messages.
  private(set) var isGRPC = false
  private var code: RPCStatus.Code?
  private var message = ""
  private var details: RPCErrorDetails?
  private(set) var metadata = RPCMetadata()

  mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if name.isEqual(to: ":status") {
      httpStatus = GRPCText.number(value) ?? 0
    } else if name.isEqual(to: "content-type") {
      isGRPC = value.starts(with: "application/grpc")
    } else if name.isEqual(to: "grpc-status") {
      // A status code that is not defined here is an error all the same.
      code = GRPCText.number(value).flatMap { RPCStatus.Code(rawValue: UInt32($0)) } ?? .unknown
    } else if name.isEqual(to: "grpc-message") {
      message = GRPCText.percentDecoded(value)
    } else if name.isEqual(to: "grpc-status-details-bin") {
      details = GRPCText.base64Decoded(value)?.withUnsafeBytes { GRPCStatusDetails.decode($0) }
    } else if GRPCText.isKey(name), !name.starts(with: "grpc-"), let text = String(validating: value, as: UTF8.self) {
      metadata.append(String(decoding: name, as: UTF8.self), text)
    }
  }

  /// The status of the call, at the end of the reply.
  var status: RPCStatus {
    if let code { return RPCStatus(clientSide: code, message, details) }
    if httpStatus != 200 {
      return RPCStatus(clientSide: Self.code(ofHTTP: httpStatus), "the server replied with HTTP status \(httpStatus)")
    }
    return RPCStatus(clientSide: .unknown, isGRPC ? "the reply has no grpc-status" : "the reply is not gRPC")
  }

  /// Maps an HTTP status to a gRPC code as in https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md.
  private static func code(ofHTTP status: Int) -> RPCStatus.Code {
    switch status {
    case 400: .internalError
    case 401: .unauthenticated
    case 403: .permissionDenied
    case 404: .unimplemented
    case 429, 502, 503, 504: .unavailable
    default: .unknown
    }
  }

  /// The status of a call whose stream was reset.
  static func status(ofReset code: UInt32) -> RPCStatus {
    let name = HTTP2Session.ErrorCode.name(code)
    return switch HTTP2Session.ErrorCode(rawValue: code) {
    case .refusedStream: RPCStatus(clientSide: .unavailable, "the server refused the stream")
    case .cancel: RPCStatus(clientSide: .cancelled, "the call was reset: \(name)")
    case .enhanceYourCalm: RPCStatus(clientSide: .resourceExhausted, "the call was reset: \(name)")
    case .inadequateSecurity: RPCStatus(clientSide: .permissionDenied, "the call was reset: \(name)")
    default: RPCStatus(clientSide: .internalError, "the call was reset: \(name)")
    }
  }
}
