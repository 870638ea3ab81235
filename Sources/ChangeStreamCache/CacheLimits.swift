// SPDX-License-Identifier: Apache-2.0
/// The limits of a cache.
enum CacheLimits {
  /// The maximum number of queued changes. A collection of configs does not receive as many in a minute, and at some
  /// kilobytes each they still fit into a server's memory. Usually there are one or two.
  static let waitingChanges = 20_000
  /// The first time that the source gets to report that no more changes follow, while something waits for that report.
  /// It is doubled after each reply that does not help.
  static let firstHurriedWait = Duration.milliseconds(1)
  /// The limit of the doubling. It is longer than a source waits of its own accord.
  static let longestHurriedWait = Duration.seconds(60)
  /// A revision that is further ahead of both the database's reported time and this machine's clock is
  /// rejected, because the database cannot have produced it.
  static let clockSkew = Duration.seconds(60)
  /// The number of times in a row that a resumed stream may fail to reply in time before its position is given up.
  static let timeoutsAtOnePosition = 2
}
