// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import GRPCTransport
internal import ProtobufMessages

/// A connection to the server that decodes replies, and that throws errors with the exit status of the tool.
struct ToolClient {
  private let client: any RPCClient
  private let options: ToolOptions
  private let arena = ProtobufArena()

  /// Connects as the options say.
  ///
  /// - Throws: `UsageError` for wrong files, or the error of the connection.
  init(_ options: ToolOptions) throws {
    self.options = options
    client = options.isGRPC ? try GRPCClient(options) : try FramedClient(options)
  }

  /// Makes a call and passes its reply to a function. The reply is valid until the function returns.
  ///
  /// - Throws: ``ToolFailure`` for a status other than OK, or the error of the connection.
  func call<Request, Response, Result>(
    _ method: String, _ request: UnsafePointer<Request>,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<
      Response
    >?,
    _ body: (UnsafePointer<Response>) throws -> Result
  ) throws -> Result {
    let reply = try client.call(method, ProtobufArena.pack(request), timeout: options.timeout)
    try check(reply)
    return try read(reply.payload, unpack, body)
  }

  /// Whether `grpc.health.v1.Health` reports the whole server as SERVING.
  func isServing() throws -> Bool {
    let reply = try client.call("grpc.health.v1.Health/Check", timeout: options.timeout)
    try check(reply)
    return try reply.payload.withUnsafeBytes { bytes in
      var fields = ProtobufReader(bytes)
      while let (number, value) = try fields.next() {
        // SERVING
        if number == 1, case .varint(let status) = value { return status == 1 }
      }
      return false
    }
  }

  /// Opens a stream and passes each of its replies to a function until that returns false or the server ends the stream
  /// with OK.
  ///
  /// - Throws: ``ToolFailure`` for a status other than OK, or the error of the connection: no reply within
  ///   `replyTimeout`, for instance.
  func stream<Request, Response>(
    _ method: String, _ request: UnsafePointer<Request>, replyTimeout: Duration,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<
      Response
    >?,
    _ body: (UnsafePointer<Response>) throws -> Bool
  ) throws {
    let id = try client.openStream(method, ProtobufArena.pack(request))
    while true {
      let reply = try client.nextReply(id, deadline: .now.advanced(by: replyTimeout))
      try check(reply)
      guard reply.more else { return }
      if try !read(reply.payload, unpack, body) {
        try client.cancel(id)
        return
      }
    }
  }

  private func read<Response, Result>(
    _ payload: [UInt8],
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<
      Response
    >?,
    _ body: (UnsafePointer<Response>) throws -> Result
  ) throws -> Result {
    try payload.withUnsafeBytes { try arena.withUnpacked($0, by: unpack, limit: .max, body) }
  }
}

/// Throws the status of a reply, unless it is OK.
func check(_ reply: RPCClientReply) throws(ToolFailure) {
  guard reply.status.code != .ok else { return }
  let status =
    switch reply.status.code {
    case .notFound: ExitStatus.notFound
    case .unavailable, .deadlineExceeded: ExitStatus.unavailable
    case .invalidArgument: ExitStatus.usage
    case .unauthenticated, .permissionDenied: ExitStatus.notPermitted
    default: ExitStatus.failed
    }
  throw ToolFailure(status: status, message: "\(reply.status)", rpcStatus: reply.status)
}
