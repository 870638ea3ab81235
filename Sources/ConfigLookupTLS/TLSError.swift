// SPDX-License-Identifier: Apache-2.0
/// A failure to set up TLS, with the file and its problem.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of file that has the problem.
  public enum Subject: Sendable, Hashable {
    case certificate, key, authorities, library
  }

  /// The kind of file that has the problem.
  public let subject: Subject
  /// A description for people, which names the file and what to do.
  public let message: String

  init(_ subject: Subject, _ message: String) {
    self.subject = subject
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
