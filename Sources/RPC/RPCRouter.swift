/// A method that can be called.
public final class RPCMethod: Sendable {
  /// What answers the method: once, or by a stream.
  public enum Handler: Sendable {
    /// Answers at once, and gives nil; or says what it waits for, and is asked again then.
    case unary(@Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> RPCWait?)
    /// Starts a stream of replies. A throw ends it before it began; `reply` is for the metadata of that end.
    case serverStreaming(
      @Sendable (borrowing RPCRequest, any RPCStreamWriter, inout RPCReply) throws(RPCStatus) -> any RPCStreamHandler)
  }

  /// `configlookup.v1.ConfigLookup`
  public let service: String
  /// `GetAgentConfig`
  public let name: String
  public let handler: Handler
  fileprivate let nameBytes: [UInt8]

  public init(service: String, name: String, handler: Handler) {
    self.service = service
    self.name = name
    self.handler = handler
    nameBytes = Array(name.utf8)
  }
}

/// Finds the method of a call. Immutable: any thread.
public final class RPCRouter: Sendable {
  public let methods: [RPCMethod]

  /// The names of methods must differ, across services too: the framed protocol knows no services.
  public init(_ methods: [RPCMethod]) {
    precondition(Set(methods.map(\.name)).count == methods.count, "two methods of one name")
    self.methods = methods
  }

  /// The method with this bare name, as the framed protocol has it.
  public func method(named name: UnsafeRawBufferPointer) -> RPCMethod? {
    // A dozen names of different lengths: a walk is quicker than a hash.
    methods.first { $0.nameBytes.count == name.count && $0.nameBytes.elementsEqual(name) }
  }
}
