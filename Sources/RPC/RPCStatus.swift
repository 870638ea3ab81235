/// How a call ended, in gRPC's codes and meanings (https://grpc.io/docs/guides/status-codes/).
public struct RPCStatus: Error, Sendable, Hashable, CustomStringConvertible {
  /// The numbers on the wire.
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

    /// As gRPC writes it: `NOT_FOUND`.
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

  /// What a program can act on, beside the code.
  public enum Detail: Sendable, Hashable {
    /// This field of the request is at fault, for this reason.
    case badField(String, String)
    /// The call is worth another try after so many seconds.
    case retry(afterSeconds: Double)
  }

  public var code: Code
  /// For people: names the field, the key, or what to do.
  public var message: String
  public var detail: Detail?

  public init(_ code: Code, _ message: String, detail: Detail? = nil) {
    self.code = code
    self.message = message
    self.detail = detail
  }

  /// INVALID_ARGUMENT: what is wrong with a field of the request.
  public static func invalid(_ field: String, _ problem: String) -> RPCStatus {
    RPCStatus(.invalidArgument, "\(field): \(problem)", detail: .badField(field, problem))
  }

  public static let ok = RPCStatus(.ok, "")

  public var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}
