/// How large what is served may be: one bound for all paths, from the encoder of a document to the clients.
///
/// A document whose encoding is longer is rejected when it is read, and named in the log; its last good version is
/// served on. So no reply, no notice and no page of a list is ever longer than a path can take. The bounds of
/// connections and clients are made of these.
public enum ServedSize {
  /// Bytes of an encoded document: those of the largest document that MongoDB stores. Encoded, a document is usually
  /// shorter than it is stored, but free-form parts can grow as JSON: a control character takes six bytes.
  public static let documentBytes = 16 * 1024 * 1024

  /// Bytes of a reply, a notice or a page of a list, which hold at most one document, with what goes around it.
  public static let replyBytes = documentBytes + 1024 * 1024
}
