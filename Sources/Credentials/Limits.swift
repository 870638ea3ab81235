/// What this target bounds, and why.
enum Limits {
  /// Bytes of a credential's name: it stands in every log line about it.
  static let nameBytes = 64
}
