/// What keeps TLS from being set up: a file, and what is wrong with it.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Which of the files it is about.
  public enum Subject: Sendable, Hashable {
    case certificate, key, authorities, library
  }

  public let subject: Subject
  /// For people: names the file and says what to do.
  public let message: String

  init(_ subject: Subject, _ message: String) {
    self.subject = subject
    self.message = message
  }

  public var description: String { message }
}
