// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// A request to the reading thread.
struct ReadRequest: Sendable {
  enum Subject: Sendable {
    /// All documents that match, as of this revision or later.
    case collection(notBefore: Revision)
    /// The changes up to this revision.
    case past(through: Revision)
  }

  /// The number of the reload that needs the read.
  let number: UInt64
  let subject: Subject
}
