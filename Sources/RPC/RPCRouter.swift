public import Core
internal import Glibc

/// A bound of the calls of some methods that are open at once on one connection, beside that of all calls.
public struct RPCOpenCallLimit: Sendable {
  /// How metrics and log name it. Methods with the same name share the bound.
  public let name: ServerLimit
  /// Calls open at once on one connection.
  public let count: Int

  /// Creates a bound.
  public init(_ name: ServerLimit, _ count: Int) {
    self.name = name
    self.count = count
  }
}

/// A method that can be called.
public final class RPCMethod: Sendable {
  /// What answers the method: once, or by a stream, to one request or to a stream of them.
  public enum Handler: Sendable {
    /// Answers at once, and gives nil; or says what it waits for, and is asked again then.
    case unary(@Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> RPCWait?)
    /// Starts a stream of replies. A throw ends it before it began; `reply` is for the metadata of that end.
    case serverStreaming(
      @Sendable (borrowing RPCRequest, any RPCStreamWriter, inout RPCReply) throws(RPCStatus) -> any RPCStreamHandler)
    /// Starts a stream of replies to a stream of requests; the request's own message is empty. Only where a transport
    /// has such: frames do not.
    case bidirectionalStreaming(
      @Sendable (borrowing RPCRequest, any RPCStreamWriter) throws(RPCStatus) -> any RPCRequestStreamHandler)
  }

  /// `configlookup.v1.ConfigLookup`
  public let service: String
  /// `GetAgentConfig`
  public let name: String
  public let handler: Handler
  /// A shorter way for most calls, if there is one, on the worker of an index; to be made once for each.
  public let plain: (@Sendable (Int) -> any RPCPlainCalls)?
  /// Nil: only the bound of all calls counts.
  ///
  /// A method with a bound of its own is there for clients' libraries and tools, not for the service's callers: a
  /// connection on which only such calls are open is idle.
  public let openCallLimit: RPCOpenCallLimit?
  /// Its place among the methods of the router that gives it.
  public let index: Int
  public let nameBytes: [UInt8]
  fileprivate let pathBytes: [UInt8]

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

/// Finds the method of a call. Immutable: any thread.
public final class RPCRouter: Sendable {
  public let methods: [RPCMethod]

  public init(_ methods: [RPCMethod]) {
    precondition(Set(methods.map(\.pathBytes)).count == methods.count, "two methods of one service and name")
    self.methods = methods.enumerated().map { RPCMethod($1, index: $0) }
  }

  /// The method with this bare name, as the framed protocol has it.
  public func method(named name: UnsafeRawBufferPointer) -> RPCMethod? {
    // A dozen names of different lengths: a walk is quicker than a hash.
    methods.first { $0.nameBytes.isEqual(to: name) }
  }

  /// The method with this path, as gRPC has it: `/configlookup.v1.ConfigLookup/GetPrompt`.
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
