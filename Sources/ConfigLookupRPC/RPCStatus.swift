// SPDX-License-Identifier: Apache-2.0
/// The result of a call, with the codes of gRPC and their meanings (https://grpc.io/docs/guides/status-codes/).
public struct RPCStatus: Error, Sendable, Hashable, CustomStringConvertible {
  /// The status code, with its number on the wire.
  public enum Code: UInt32, Sendable, CaseIterable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case internalError = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16

    /// The name of the code in gRPC, such as `NOT_FOUND`.
    public var name: String {
      switch self {
      case .ok: "OK"
      case .cancelled: "CANCELLED"
      case .unknown: "UNKNOWN"
      case .invalidArgument: "INVALID_ARGUMENT"
      case .deadlineExceeded: "DEADLINE_EXCEEDED"
      case .notFound: "NOT_FOUND"
      case .alreadyExists: "ALREADY_EXISTS"
      case .permissionDenied: "PERMISSION_DENIED"
      case .resourceExhausted: "RESOURCE_EXHAUSTED"
      case .failedPrecondition: "FAILED_PRECONDITION"
      case .aborted: "ABORTED"
      case .outOfRange: "OUT_OF_RANGE"
      case .unimplemented: "UNIMPLEMENTED"
      case .internalError: "INTERNAL"
      case .unavailable: "UNAVAILABLE"
      case .dataLoss: "DATA_LOSS"
      case .unauthenticated: "UNAUTHENTICATED"
      }
    }
  }

  /// Information for programs in addition to the code.
  public enum Detail: Sendable, Hashable {
    /// The named field of the request is invalid, for the given reason.
    case badField(String, String)
    /// The call may be retried after this time.
    case retry(after: Duration)
  }

  /// The status code.
  public var code: Code
  /// A description for people, which names the field, the key, or what to do.
  public var message: String
  /// Information for programs; nil if there is none.
  public var detail: Detail?

  /// Creates a status.
  ///
  /// - Parameters:
  ///   - code: The status code.
  ///   - message: A description for people.
  ///   - detail: Information for programs.
  public init(_ code: Code, _ message: String, detail: Detail? = nil) {
    self.code = code
    self.message = message
    self.detail = detail
  }

  /// Creates an INVALID_ARGUMENT status for a field of the request.
  ///
  /// - Parameters:
  ///   - field: The name of the field.
  ///   - problem: What is wrong with it.
  /// - Returns: The status.
  public static func invalid(_ field: String, _ problem: String) -> RPCStatus {
    RPCStatus(.invalidArgument, "\(field): \(problem)", detail: .badField(field, problem))
  }

  /// The status of a successful call.
  public static let ok = RPCStatus(.ok, "")

  /// The name of the code and, if there is one, the message.
  public var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}
