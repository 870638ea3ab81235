/// Bounds of a cache.
enum Limits {
  /// Changes that wait for their turn: those of a minute at a rate that no collection of configs has, and at some
  /// kilobytes each still memory that a server has. Usually there are one or two.
  static let waitingChanges = 20_000
  /// Seconds that the source is first given to say that nothing more has come, while something waits for that;
  /// doubled for as long as it does not help.
  static let hurriedWaitSeconds = 0.001
  /// A revision that is further ahead of both the database's reported time and this machine's clock is refused as one
  /// that the database cannot have given.
  static let clockSkewSeconds: Int64 = 60
}
