// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// What an error tells programs in addition to its status code: `google.rpc.ErrorInfo`, `google.rpc.BadRequest` and
/// `google.rpc.RetryInfo`.
///
/// https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
public struct RPCErrorDetails: Sendable, Hashable {
  /// The domain of the reasons of this service: the package of its protocol.
  public static let domain = "configlookup.v1"

  /// A field of a request and what is wrong with it.
  public struct FieldViolation: Sendable, Hashable {
    /// The name of the field, with the index of an element: `keys.3`.
    public let field: String
    /// What is wrong with it.
    public let problem: String

    /// Creates a violation.
    ///
    /// - Parameters:
    ///   - field: The name of the field.
    ///   - problem: What is wrong with it.
    public init(field: String, problem: String) {
      self.field = field
      self.problem = problem
    }
  }

  /// The reason, in UPPER_SNAKE_CASE; of this service, the raw value of an ``ErrorReason``. Empty if the error has no
  /// `ErrorInfo`.
  public var reason = ""
  /// The domain to which the reason belongs.
  public var domain = ""
  /// The values that the message contains, by name.
  public var metadata: [String: String] = [:]
  /// The invalid fields of the request.
  public var violations: [FieldViolation] = []
  /// The time after which the call may be retried; nil if the error does not say so.
  public var retryDelay: Duration?

  /// Creates details without contents.
  public init() {}

  /// Creates the details of an error of this service.
  ///
  /// - Parameter reason: The reason.
  public init(_ reason: ErrorReason) {
    self.reason = reason.rawValue
    domain = Self.domain
  }

  /// ``retryDelay`` in whole milliseconds, at least 0; nil if the error has none.
  public var retryDelayMilliseconds: Int64? {
    retryDelay.map { max(0, $0.milliseconds) }
  }
}
