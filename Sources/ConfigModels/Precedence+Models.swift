internal import ChangeStreamCache

extension Precedence {
  /// The order of the versions of an agent or a prompt: by semantic version, then by the date of the last update. A
  /// version without a date comes before those with one.
  init(_ version: SemanticVersion, updatedAt: Int64?) {
    self.init()
    append(sortKey: version.sortKey)
    append(updatedAt ?? Int64.min)
  }
}
