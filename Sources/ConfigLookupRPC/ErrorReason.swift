// SPDX-License-Identifier: Apache-2.0
/// The reasons for which the server ends a call with an error: the `reason` of the `google.rpc.ErrorInfo` that every
/// error carries, in the domain ``RPCErrorDetails/domain``.
///
/// The list is closed for a version of the server. Later versions may add reasons, and never change or remove one, so a
/// client treats a reason that it does not know like any other error with the same status code. The table in
/// `docs/reference/grpc.md` has the same reasons.
public enum ErrorReason: String, Sendable, CaseIterable {
  // MARK: The request

  /// A field of the request has an invalid value. A `google.rpc.BadRequest` names the field.
  case invalidField = "INVALID_FIELD"
  /// The request message cannot be decoded, or is longer than its method accepts.
  case invalidRequest = "INVALID_REQUEST"
  /// The request of a lookup has no selector. A `google.rpc.BadRequest` names the field.
  case selectorMissing = "SELECTOR_MISSING"
  /// The request of a watch names a selector that its entities do not have. A `google.rpc.BadRequest` names the field.
  case unknownSelector = "UNKNOWN_SELECTOR"
  /// The page token was not returned by the same list with the same filter.
  case invalidPageToken = "INVALID_PAGE_TOKEN"
  /// The metadata of the call have an invalid key or value.
  case invalidMetadata = "INVALID_METADATA"
  /// The metadata of the call have too many pairs or bytes.
  case metadataTooLarge = "METADATA_TOO_LARGE"
  /// A message is longer than the limit.
  case messageTooLarge = "MESSAGE_TOO_LARGE"
  /// The server has no such method.
  case unknownMethod = "UNKNOWN_METHOD"
  /// The method takes another number of requests, or a stream of requests, which the framed protocol does not have.
  case unsupportedCallType = "UNSUPPORTED_CALL_TYPE"
  /// The messages are compressed, which the server does not support.
  case unsupportedCompression = "UNSUPPORTED_COMPRESSION"
  /// The bytes of a gRPC call do not form messages.
  case malformedFraming = "MALFORMED_FRAMING"

  // MARK: Lookups

  /// No config is in force for the key.
  case keyNotFound = "KEY_NOT_FOUND"
  /// The health service does not know the named service.
  case unknownService = "UNKNOWN_SERVICE"
  /// The caches have not all been loaded yet.
  case notReady = "NOT_READY"
  /// The contents were last verified longer ago than the server may serve them (`--max-staleness-seconds`).
  case serverTooStale = "SERVER_TOO_STALE"
  /// The contents were last verified longer ago than `options.max_staleness_ms` accepts.
  case maxStalenessExceeded = "MAX_STALENESS_EXCEEDED"
  /// The server did not observe `options.min_revision` in time.
  case minRevisionNotReached = "MIN_REVISION_NOT_REACHED"
  /// `options.min_revision` is later than the time of the server.
  case minRevisionInFuture = "MIN_REVISION_IN_FUTURE"
  /// `options.epoch` is not the epoch of the server: it serves another database.
  case epochMismatch = "EPOCH_MISMATCH"

  // MARK: Permissions

  /// The call has neither a token nor a certificate.
  case credentialsMissing = "CREDENTIALS_MISSING"
  /// The token or the certificate does not belong to any client of the server.
  case credentialsInvalid = "CREDENTIALS_INVALID"
  /// The client lacks the permission for the call.
  case permissionMissing = "PERMISSION_MISSING"

  // MARK: The server's state and limits

  /// The connection or the server is draining and accepts no new calls.
  case draining = "DRAINING"
  /// The deadline of the call has passed.
  case deadlineExceeded = "DEADLINE_EXCEEDED"
  /// The request was not complete in time.
  case requestTimeout = "REQUEST_TIMEOUT"
  /// The number of concurrent calls on one connection has reached its limit.
  case callsPerConnectionLimit = "CALLS_PER_CONNECTION_LIMIT"
  /// The number of watches of the server has reached its limit.
  case subscribersLimit = "SUBSCRIBERS_LIMIT"
  /// The number of lookups that wait for their `options.min_revision` has reached its limit.
  case waitingCallsLimit = "WAITING_CALLS_LIMIT"
  /// The number of bytes that the server buffers for all clients has reached its limit.
  case bufferedBytesLimit = "BUFFERED_BYTES_LIMIT"
  /// The number of health watches of the server has reached its limit.
  case healthWatchesLimit = "HEALTH_WATCHES_LIMIT"
  /// The number of health watches of one connection has reached its limit.
  case healthWatchesPerConnectionLimit = "HEALTH_WATCHES_PER_CONNECTION_LIMIT"
  /// The number of reflection streams of one connection has reached its limit.
  case reflectionStreamsLimit = "REFLECTION_STREAMS_LIMIT"
  /// The client reads its replies too slowly.
  case repliesNotRead = "REPLIES_NOT_READ"

  /// The status code of every error with this reason.
  public var code: RPCStatus.Code {
    switch self {
    case .invalidField, .invalidRequest, .selectorMissing, .unknownSelector, .invalidPageToken, .invalidMetadata:
      .invalidArgument
    case .keyNotFound, .unknownService: .notFound
    case .unknownMethod, .unsupportedCallType, .unsupportedCompression: .unimplemented
    case .malformedFraming: .internalError
    case .notReady, .serverTooStale, .maxStalenessExceeded, .minRevisionNotReached, .draining: .unavailable
    case .minRevisionInFuture, .epochMismatch: .failedPrecondition
    case .credentialsMissing, .credentialsInvalid: .unauthenticated
    case .permissionMissing: .permissionDenied
    case .deadlineExceeded, .requestTimeout: .deadlineExceeded
    case .metadataTooLarge, .messageTooLarge, .callsPerConnectionLimit, .subscribersLimit, .waitingCallsLimit,
      .bufferedBytesLimit, .healthWatchesLimit, .healthWatchesPerConnectionLimit, .reflectionStreamsLimit,
      .repliesNotRead:
      .resourceExhausted
    }
  }
}
