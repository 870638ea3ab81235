/// A request that a route answers.
public struct OperationsRequest: Sendable {
  /// What stands after the `?`, as it was sent; nil without one.
  public let query: String?
  public let body: [UInt8]
  /// The header of that name.
  public let authorization: String?
  /// The names in the caller's verified certificate, `dns:worker.example`; none without one.
  public let certificateNames: [String]
  /// Where the caller is.
  public let peer: String
}

/// What a route answers.
public struct OperationsReply: Sendable {
  public var status: Int
  public var contentType: String
  public var body: String

  public init(status: Int, contentType: String, body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// A JSON text and its newline.
  public static func json(_ body: String, status: Int = 200) -> OperationsReply {
    OperationsReply(status: status, contentType: "application/json", body: body + "\n")
  }
}

/// What one path does.
public struct OperationsRoute: Sendable {
  public enum Method: Sendable {
    /// HEAD too.
    case get
    case post
  }

  let method: Method
  let answer: @Sendable (OperationsRequest) -> OperationsReply

  /// `answer` is called on the HTTP server's own thread: it may take a moment, but it holds up the other probes.
  public init(_ method: Method, _ answer: @escaping @Sendable (OperationsRequest) -> OperationsReply) {
    self.method = method
    self.answer = answer
  }

  /// As the `Allow` header has it.
  var allowed: String {
    switch method {
    case .get: "GET, HEAD"
    case .post: "POST"
    }
  }
}
