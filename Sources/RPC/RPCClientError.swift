/// What kept a client from an answer; an answer that is an error is an ``RPCClientReply`` with its status.
public struct RPCClientError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What a program can act on.
  public enum Code: Sendable, Hashable {
    case cannotConnect
    /// The connection ended without a word.
    case connectionLost
    /// The server goes away: no new calls.
    case goAway
    /// Nothing came in time.
    case timedOut
    /// What the server sent is not of the protocol.
    case malformed
  }

  public let code: Code
  /// The server, as it was given.
  public let address: String
  /// For people: what happened.
  public let problem: String

  public init(_ code: Code, _ address: String, _ problem: String) {
    self.code = code
    self.address = address
    self.problem = problem
  }

  public var description: String { "\(address): \(problem)" }
}
