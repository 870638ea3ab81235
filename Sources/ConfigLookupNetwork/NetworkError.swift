// SPDX-License-Identifier: Apache-2.0
/// A failure to listen, to connect, or to create an event loop.
public struct NetworkError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of failure, for programs.
  public enum Code: Sendable, Hashable {
    /// The text is not of the form HOST:PORT.
    case malformedAddress
    /// The name has no address.
    case unknownHost
    /// Another socket listens on the address.
    case addressInUse
    /// The address is not one of this machine.
    case addressNotAvailable
    /// The port is reserved for privileged processes.
    case notPermitted
    /// The TLS handshake failed.
    case tls
    /// Another operation of the system failed.
    case system
  }

  /// The kind of failure.
  public let code: Code
  /// A description for people, which names the value and what to do.
  public let message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
