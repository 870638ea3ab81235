// SPDX-License-Identifier: Apache-2.0
/// The maximum size of served data: one limit for all paths, from the encoder of a document to the clients.
///
/// A document whose encoding is larger is rejected when it is read, and named in the log; its last valid version
/// continues to be served. So no reply, notice or page of a list is ever larger than a path supports. The limits of
/// connections and clients are derived from these.
public enum ServedSize {
  /// The maximum size of an encoded document in bytes, which is that of the largest document that MongoDB stores. The
  /// encoding is usually smaller than the stored document, but free-form parts can grow as JSON: a control character
  /// takes six bytes.
  public static let documentBytes = 16 * 1024 * 1024

  /// The maximum size in bytes of a reply, a notice or a page of a list, each of which contains at most one document,
  /// with its envelope.
  public static let replyBytes = documentBytes + 1024 * 1024
}
