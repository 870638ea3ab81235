// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
internal import Glibc

/// A limit on the calls of certain methods that are open at once on one connection, in addition to the limit on all
/// calls.
public struct RPCOpenCallLimit: Sendable {
  /// The name of the limit in metrics and in the log. Methods with the same name share the limit.
  public let name: ServerLimit
  /// Maximum number of calls that are open at once on one connection.
  public let count: Int
  /// The reason of the error above the limit.
  public let reason: ErrorReason

  /// Creates a limit.
  ///
  /// - Parameters:
  ///   - name: The name in metrics and in the log.
  ///   - count: The maximum number of open calls on one connection.
  ///   - reason: The reason of the error above the limit.
  public init(_ name: ServerLimit, _ count: Int, reason: ErrorReason) {
    self.name = name
    self.count = count
    self.reason = reason
  }
}

/// A method that clients can call.
public final class RPCMethod: Sendable {
  /// The function that answers the method: with one reply or a stream of them, to one request or to a stream of them.
  public enum Handler: Sendable {
    /// Answers the call and returns nil, or returns what the call waits for, and is called again after that.
    case unary(@Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> RPCWait?)
    /// Starts a stream of replies. If it throws, the call ends before the stream begins; `reply` then holds the
    /// metadata of that end.
    case serverStreaming(
      @Sendable (borrowing RPCRequest, any RPCStreamWriter, inout RPCReply) throws(RPCStatus) -> any RPCStreamHandler)
    /// Starts a stream of replies to a stream of requests; the message of the initial request is empty. Only gRPC
    /// supports this; the framed transport does not.
    case bidirectionalStreaming(
      @Sendable (borrowing RPCRequest, any RPCStreamWriter) throws(RPCStatus) -> any RPCRequestStreamHandler)
  }

  /// The full name of the service, such as `configlookup.v1.ConfigLookup`.
  public let service: String
  /// The name of the method, such as `GetAgentConfig`.
  public let name: String
  /// The function that answers the method.
  public let handler: Handler
  /// Creates the fast path for the worker with the given index; nil if the method has none. It is called once for each
  /// worker.
  public let plain: (@Sendable (Int) -> any RPCPlainCalls)?
  /// The limit on open calls of this method; nil if only the limit on all calls applies.
  ///
  /// A method with its own limit exists for clients' libraries and tools, not for the callers of the service. A
  /// connection on which only such calls are open counts as idle.
  public let openCallLimit: RPCOpenCallLimit?
  /// The index of the method in ``RPCRouter/methods``.
  public let index: Int
  /// The UTF-8 bytes of ``name``.
  public let nameBytes: [UInt8]
  fileprivate let pathBytes: [UInt8]

  /// Creates a method. Its index is 0 until a router contains it.
  ///
  /// - Parameters:
  ///   - service: The full name of the service.
  ///   - name: The name of the method.
  ///   - handler: The function that answers the method.
  ///   - plain: Creates the fast path for the worker with the given index; nil if the method has none.
  ///   - openCallLimit: The limit on open calls of this method on one connection; nil if only the limit on all calls
  ///     applies.
  public init(
    service: String, name: String, handler: Handler, plain: (@Sendable (Int) -> any RPCPlainCalls)? = nil,
    openCallLimit: RPCOpenCallLimit? = nil
  ) {
    self.service = service
    self.name = name
    self.handler = handler
    self.plain = plain
    self.openCallLimit = openCallLimit
    index = 0
    nameBytes = Array(name.utf8)
    pathBytes = Array("/\(service)/\(name)".utf8)
  }

  fileprivate init(_ method: RPCMethod, index: Int) {
    service = method.service
    name = method.name
    handler = method.handler
    plain = method.plain
    openCallLimit = method.openCallLimit
    self.index = index
    nameBytes = method.nameBytes
    pathBytes = method.pathBytes
  }
}

/// Finds the method of a call. It is immutable and may be used from any thread.
public final class RPCRouter: Sendable {
  /// The methods, each with its index in this array.
  public let methods: [RPCMethod]

  /// Creates a router.
  ///
  /// - Parameter methods: The methods. No two of them may have the same service and name.
  public init(_ methods: [RPCMethod]) {
    precondition(Set(methods.map(\.pathBytes)).count == methods.count, "two methods of one service and name")
    self.methods = methods.enumerated().map { RPCMethod($1, index: $0) }
  }

  /// Finds a method by its name without the service, as the framed protocol sends it.
  ///
  /// - Parameter name: The UTF-8 bytes of the name.
  /// - Returns: The method; nil if there is none with this name.
  public func method(named name: UnsafeRawBufferPointer) -> RPCMethod? {
    // There are about a dozen names of different lengths: a linear search is faster than a hash table.
    methods.first { $0.nameBytes.isEqual(to: name) }
  }

  /// Finds a method by its path, as gRPC sends it: `/configlookup.v1.ConfigLookup/GetPrompt`.
  ///
  /// - Parameter path: The UTF-8 bytes of the path.
  /// - Returns: The method; nil if there is none with this path.
  public func method(path: UnsafeRawBufferPointer) -> RPCMethod? {
    methods.first { $0.pathBytes.isEqual(to: path) }
  }
}

extension [UInt8] {
  fileprivate func isEqual(to bytes: UnsafeRawBufferPointer) -> Bool {
    guard count == bytes.count, let start = bytes.baseAddress else { return isEmpty && bytes.isEmpty }
    return memcmp(self, start, count) == 0
  }
}
