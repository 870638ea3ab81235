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

  /// The status code.
  public let code: Code
  /// A description for people, which names the field, the key, or what to do.
  public let message: String
  private let boxed: BoxedDetails

  /// Information for programs. Every error of this service has details, which name its reason; nil for OK, and for an
  /// error that a client did not receive from this service.
  public var details: RPCErrorDetails? {
    if case .some(let details) = boxed { return details }
    return nil
  }

  /// The reason; nil for OK, and for an error whose reason is unknown here or is not one of this service.
  public var reason: ErrorReason? {
    guard let details, details.domain == RPCErrorDetails.domain else { return nil }
    return ErrorReason(rawValue: details.reason)
  }

  /// Creates the status of an error. The reason determines the code.
  ///
  /// - Parameters:
  ///   - reason: The reason.
  ///   - message: A description for people.
  ///   - violations: The invalid fields of the request.
  ///   - retryDelay: The time after which the call may be retried; nil if waiting does not help, or nothing is known
  ///     about it.
  ///   - metadata: The values that the message contains, by name, for programs.
  public init(
    _ reason: ErrorReason, _ message: String, violations: [RPCErrorDetails.FieldViolation] = [],
    retryDelay: Duration? = nil, metadata: [String: String] = [:]
  ) {
    var details = RPCErrorDetails(reason)
    details.violations = violations
    details.retryDelay = retryDelay
    details.metadata = metadata
    self.init(code: reason.code, message: message, boxed: .some(details))
  }

  /// Creates a status on the side of the client: what the client received, or what its transport made of a reply that
  /// is not valid. A server uses ``init(_:_:violations:retryDelay:metadata:)``.
  ///
  /// - Parameters:
  ///   - code: The status code.
  ///   - message: A description for people.
  ///   - details: The details that were received.
  public init(clientSide code: Code, _ message: String, _ details: RPCErrorDetails? = nil) {
    self.init(code: code, message: message, boxed: details.map { .some($0) } ?? .none)
  }

  private init(code: Code, message: String, boxed: BoxedDetails) {
    self.code = code
    self.message = message
    self.boxed = boxed
  }

  /// Creates an INVALID_ARGUMENT status for a field of the request.
  ///
  /// - Parameters:
  ///   - field: The name of the field.
  ///   - problem: What is wrong with it.
  ///   - reason: The reason; its code must be INVALID_ARGUMENT.
  /// - Returns: The status.
  public static func invalid(
    _ field: String, _ problem: String, reason: ErrorReason = .invalidField
  ) -> RPCStatus {
    RPCStatus(reason, "\(field): \(problem)", violations: [.init(field: field, problem: problem)])
  }

  /// The status of a successful call.
  public static let ok = RPCStatus(code: .ok, message: "", boxed: .none)

  /// The name of the code and, if there is one, the message.
  public var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}

/// The details in memory of their own, so that the status of a success is small and allocates none.
private indirect enum BoxedDetails: Sendable, Hashable {
  case none
  case some(RPCErrorDetails)
}
