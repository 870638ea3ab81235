/// What is wrong with a file of credentials; for people: names file and line, and never a secret.
public struct CredentialProblem: Error, Sendable, CustomStringConvertible {
  public let message: String
  public var description: String { message }

  init(_ message: String) {
    self.message = message
  }
}
