// SPDX-License-Identifier: Apache-2.0
/// A problem in a credentials file. Its message names file and line, and never contains a secret.
public struct CredentialProblem: Error, Sendable, CustomStringConvertible {
  /// The message for people.
  public let message: String
  /// The same as ``message``.
  public var description: String { message }

  init(_ message: String) {
    self.message = message
  }
}
