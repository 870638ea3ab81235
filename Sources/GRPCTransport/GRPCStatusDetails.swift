// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

/// Encodes a status as the `google.rpc.Status` that is sent in `grpc-status-details-bin`.
enum GRPCStatusDetails {
  /// - Parameter detail: The detail of the status.
  static func encode(_ status: RPCStatus, _ detail: RPCStatus.Detail) -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.unsigned(1, UInt64(status.code.rawValue), to: &out)
    ProtobufWriter.string(2, status.message, to: &out)
    ProtobufWriter.message(3, to: &out) { any in
      switch detail {
      case .badField(let field, let problem):
        ProtobufWriter.string(1, "type.googleapis.com/google.rpc.BadRequest", to: &any)
        ProtobufWriter.message(2, to: &any) { request in
          ProtobufWriter.message(1, to: &request) { violation in
            ProtobufWriter.string(1, field, to: &violation)
            ProtobufWriter.string(2, problem, to: &violation)
          }
        }
      case .retry(let delay):
        ProtobufWriter.string(1, "type.googleapis.com/google.rpc.RetryInfo", to: &any)
        ProtobufWriter.message(2, to: &any) { info in
          ProtobufWriter.message(1, to: &info) { duration in
            let milliseconds = delay.milliseconds
            ProtobufWriter.signed(1, milliseconds / 1000, to: &duration)
            ProtobufWriter.signed(2, milliseconds % 1000 * 1_000_000, to: &duration)
          }
        }
      }
    }
    return out
  }
}
