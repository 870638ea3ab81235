internal import Core

/// What the second thread is asked to read.
struct ReadRequest: Sendable {
  enum Subject: Sendable {
    /// All that matches, as of this revision or later.
    case collection(notBefore: Revision)
    /// What changed up to this revision.
    case past(through: Revision)
  }

  /// Of the reload that it is for.
  let number: UInt64
  let subject: Subject
}
