// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

/// The `google.rpc.Status` in `grpc-status-details-bin`: the code and the message of the status again, and its details.
enum GRPCStatusDetails {
  /// The number of the field `details`.
  private static let field: UInt32 = 3

  static func encode(_ status: RPCStatus, _ details: RPCErrorDetails) -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.unsigned(1, UInt64(status.code.rawValue), to: &out)
    ProtobufWriter.string(2, status.message, to: &out)
    details.encode(field: field, to: &out)
    return out
  }

  /// The details of an encoded status; nil if it has none.
  static func decode(_ status: UnsafeRawBufferPointer) -> RPCErrorDetails? {
    RPCErrorDetails.decode(status, field: field)
  }
}
