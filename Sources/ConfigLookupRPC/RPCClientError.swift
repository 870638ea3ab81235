// SPDX-License-Identifier: Apache-2.0
/// A failure for which a client received no reply. A reply with an error status is an ``RPCClientReply`` instead.
public struct RPCClientError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of failure, for programs.
  public enum Code: Sendable, Hashable {
    /// The connection could not be established.
    case cannotConnect
    /// The connection was closed without an explanation.
    case connectionLost
    /// The server is going away and accepts no new calls.
    case goAway
    /// No reply was received within the time limit.
    case timedOut
    /// The bytes that the server sent violate the protocol.
    case malformed
  }

  /// The kind of failure.
  public let code: Code
  /// The address of the server, as given by the caller.
  public let address: String
  /// A description of the failure for people.
  public let problem: String

  /// Creates an error.
  ///
  /// - Parameters:
  ///   - code: The kind of failure.
  ///   - address: The address of the server, as given by the caller.
  ///   - problem: A description for people.
  public init(_ code: Code, _ address: String, _ problem: String) {
    self.code = code
    self.address = address
    self.problem = problem
  }

  /// The address of the server, followed by the problem.
  public var description: String { "\(address): \(problem)" }
}
