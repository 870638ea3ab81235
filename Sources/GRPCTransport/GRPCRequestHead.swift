// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Glibc

/// The headers of a request, which are added one by one as they are received. The names of gRPC's own headers are
/// compared as bytes.
struct GRPCRequestHead {
  /// The reason for which a request is not gRPC. Its client would not understand a gRPC status.
  enum NonGRPCRequest {
    case method
    case contentType
  }

  private var isPost = false
  /// Whether the reply must have no body.
  private(set) var isHead = false
  private var isGRPC = false
  var rules = HTTP2RequestRules()
  private(set) var method: RPCMethod?
  private(set) var timeoutNanoseconds: UInt64?
  private(set) var metadata = RPCMetadata()
  /// The identity that `authorization` gives the caller, if the server requires credentials; nil without that header.
  private(set) var identity: RPCIdentity?
  /// The first problem of the call.
  private(set) var problem: RPCStatus?
  /// Whether the client compresses its messages by an algorithm that is not supported.
  private(set) var isEncodingUnknown = false
  private var unknownPath = ""
  private(set) var metadataBytes = 0
  private var listBytes = 0

  var nonGRPCRequest: NonGRPCRequest? { isPost ? isGRPC ? nil : .contentType : .method }

  /// The status that ends the call if its headers are invalid.
  var refusal: RPCStatus? {
    if let problem { return problem }
    if method == nil { return RPCStatus(.unknownMethod, "unknown method \(unknownPath)") }
    return nil
  }

  /// Resets the headers and keeps the storage.
  mutating func reset() {
    isPost = false
    isHead = false
    isGRPC = false
    rules = HTTP2RequestRules()
    method = nil
    timeoutNanoseconds = nil
    identity = nil
    if problem != nil { problem = nil }
    isEncodingUnknown = false
    if !metadata.isEmpty { metadata.removeAll() }
    metadataBytes = 0
    listBytes = 0
  }

  mutating func add(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ router: RPCRouter,
    _ identities: RPCIdentities?, _ limits: GRPCLimits
  ) {
    // This is the size of a header as HTTP/2 defines it.
    listBytes += name.count + value.count + 32
    guard listBytes <= 2 * limits.headerListBytes, let first = name.first else {
      refuse(RPCStatus(.metadataTooLarge, "the headers have more than \(limits.headerListBytes) bytes, the limit"))
      return
    }
    rules.check(name, value)
    switch first {
    case UInt8(ascii: ":"): addPseudo(name, value, router)
    case UInt8(ascii: "g") where name.starts(with: "grpc-"): addOwn(name, value)
    case UInt8(ascii: "c") where name.isEqual(to: "content-type"): isGRPC = Self.isGRPC(value)
    // The value does not become metadata: it is a secret, and a string of it for each call would be a waste. Two values
    // identify no caller: a proxy may have checked one, and this server would use the other.
    case UInt8(ascii: "a") where identities != nil && name.isEqual(to: "authorization"):
      addAuthorization(value, identities, limits)
    case UInt8(ascii: "t") where name.isEqual(to: "te"): break
    case UInt8(ascii: "u") where name.isEqual(to: "user-agent"): break
    default: addMetadata(name, value, limits)
    }
  }

  private mutating func addPseudo(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ router: RPCRouter
  ) {
    if name.isEqual(to: ":path") {
      method = router.method(path: value)
      guard method == nil else { return }
      let isShown = value.count <= GRPCLimits.shownPathBytes
      unknownPath = isShown ? "\"\(String(decoding: value, as: UTF8.self))\"" : "of \(value.count) bytes"
    } else if name.isEqual(to: ":method") {
      isPost = value.isEqual(to: "POST")
      isHead = value.isEqual(to: "HEAD")
    }
  }

  /// Adds a header of gRPC itself, which is not metadata of the application.
  private mutating func addOwn(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if name.isEqual(to: "grpc-timeout") {
      timeoutNanoseconds = GRPCText.timeout(value)
      if timeoutNanoseconds == nil {
        refuse(RPCStatus.invalid("grpc-timeout", "must be one to eight digits and one of H, M, S, m, u, n"))
      }
    } else if name.isEqual(to: "grpc-encoding"), !value.isEqual(to: "identity") {
      isEncodingUnknown = true
      refuse(
        RPCStatus(.unsupportedCompression, "grpc-encoding: only identity is supported; send messages uncompressed"))
    }
  }

  private mutating func addAuthorization(
    _ value: UnsafeRawBufferPointer, _ identities: RPCIdentities?, _ limits: GRPCLimits
  ) {
    guard problem == nil, countMetadata(value.count, limits) else { return }
    identity = identity == nil ? identities?[value] : identities?.unidentified
  }

  /// Counts bytes of metadata. Returns false, and rejects the call, if they exceed the limit.
  private mutating func countMetadata(_ count: Int, _ limits: GRPCLimits) -> Bool {
    metadataBytes += count
    guard metadataBytes > limits.metadataBytes else { return true }
    refuse(RPCStatus(.metadataTooLarge, "metadata: the limit is \(limits.metadataBytes) bytes"))
    return false
  }

  private mutating func addMetadata(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ limits: GRPCLimits
  ) {
    // A call that is rejected needs no metadata.
    guard problem == nil else { return }
    guard countMetadata(name.count + value.count, limits) else { return }
    // A name that HTTP allows and gRPC does not allow is ignored.
    guard GRPCText.isKey(name) else { return }
    let key = String(decoding: name, as: UTF8.self)
    guard let text = String(validating: value, as: UTF8.self) else {
      return refuse(RPCStatus(.invalidMetadata, "metadata: the value of \"\(key)\" is not UTF-8"))
    }
    guard key.hasSuffix("-bin") else { return append(key, text, limits) }
    // Binary values remain in the base64 in which they were received. Several values may share a header.
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let value = part.drop { $0 == " " }
      guard GRPCText.isBase64(value.utf8) else {
        return refuse(RPCStatus(.invalidMetadata, "metadata: the value of \"\(key)\" is not base64"))
      }
      append(key, String(value), limits)
    }
  }

  private mutating func append(_ key: String, _ value: String, _ limits: GRPCLimits) {
    guard metadata.pairs.count < limits.metadataPairs else {
      return refuse(RPCStatus(.metadataTooLarge, "metadata: the limit is \(limits.metadataPairs) pairs"))
    }
    metadata.append(key, value)
  }

  /// Rejects the call. The status is created only if it is the first, because a header block may have thousands of
  /// headers.
  private mutating func refuse(_ status: @autoclosure () -> RPCStatus) {
    if problem == nil { problem = status() }
  }

  /// Whether a content type is `application/grpc`, with or without `+proto` and parameters. Other message formats are
  /// not supported.
  private static func isGRPC(_ type: UnsafeRawBufferPointer) -> Bool {
    guard type.starts(with: "application/grpc") else { return false }
    var rest = UnsafeRawBufferPointer(rebasing: type.dropFirst(16))
    if rest.starts(with: "+proto") { rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(6)) }
    return rest.isEmpty || rest[0] == UInt8(ascii: ";")
  }
}

extension UnsafeRawBufferPointer {
  func isEqual(to text: StaticString) -> Bool {
    count == text.utf8CodeUnitCount && starts(with: text)
  }

  func starts(with text: StaticString) -> Bool {
    guard count >= text.utf8CodeUnitCount else { return false }
    return baseAddress.map { memcmp($0, text.utf8Start, text.utf8CodeUnitCount) == 0 } ?? true
  }
}
