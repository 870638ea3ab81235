/// What kept a listener or a loop from starting.
public struct NetworkError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: Sendable, Hashable {
    /// Not of the form HOST:PORT.
    case malformedAddress
    /// The name has no address here.
    case unknownHost
    /// Another socket listens there.
    case addressInUse
    /// The address is not one of this machine.
    case addressNotAvailable
    /// The port is reserved.
    case notPermitted
    /// The two sides did not agree on TLS.
    case tls
    /// The system refused something else.
    case system
  }

  public let code: Code
  /// For people: names the value and says what to do.
  public let message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
