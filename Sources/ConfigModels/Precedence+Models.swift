// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache

extension Precedence {
  /// Creates the precedence of a version of an agent or a prompt: by semantic version, then by the date of the last
  /// update. A version without a date is below those with one.
  init(_ version: SemanticVersion, updatedAt: Int64?) {
    self.init()
    append(sortKey: version.sortKey)
    append(updatedAt ?? Int64.min)
  }
}
