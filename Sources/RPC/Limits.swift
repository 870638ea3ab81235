/// What this target bounds, and why.
enum Limits {
  /// Bytes of an `authorization` that are kept for a connection: `Bearer`, and a token of any usual format.
  static let authorizationBytes = 4096
}
