// SPDX-License-Identifier: Apache-2.0
/// A request that a route answers.
public struct OperationsRequest: Sendable {
  /// The part of the target after the `?`, as it was sent; nil if there is none.
  public let query: String?
  /// The body of the request.
  public let body: [UInt8]
  /// The value of the `Authorization` header; nil if there is none.
  public let authorization: String?
  /// The names in the caller's verified certificate, such as `dns:worker.example`. Empty if it has none.
  public let certificateNames: [String]
  /// The address of the caller.
  public let peer: String
}

/// The reply of a route.
public struct OperationsReply: Sendable {
  /// The HTTP status code.
  public var status: Int
  /// The value of `Content-Type`.
  public var contentType: String
  /// The text of the body.
  public var body: String

  /// Creates a reply.
  ///
  /// - Parameters:
  ///   - status: The HTTP status code.
  ///   - contentType: The value of `Content-Type`.
  ///   - body: The text of the body.
  public init(status: Int, contentType: String, body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// Creates a reply with a JSON text, followed by a newline.
  ///
  /// - Parameters:
  ///   - body: The JSON text.
  ///   - status: The HTTP status code.
  /// - Returns: The reply.
  public static func json(_ body: String, status: Int = 200) -> OperationsReply {
    OperationsReply(status: status, contentType: "application/json", body: body + "\n")
  }
}

/// The method and the function of one path.
public struct OperationsRoute: Sendable {
  /// The HTTP method that a route accepts.
  public enum Method: Sendable {
    /// GET and HEAD.
    case get
    /// POST.
    case post
  }

  let method: Method
  let answer: @Sendable (OperationsRequest) -> OperationsReply

  /// Creates a route.
  ///
  /// - Parameters:
  ///   - method: The HTTP method that the route accepts.
  ///   - answer: Answers a request. It is called on the HTTP server's thread, and other requests wait until it returns.
  public init(_ method: Method, _ answer: @escaping @Sendable (OperationsRequest) -> OperationsReply) {
    self.method = method
    self.answer = answer
  }

  /// The value of the `Allow` header.
  var allowed: String {
    switch method {
    case .get: "GET, HEAD"
    case .post: "POST"
    }
  }
}
