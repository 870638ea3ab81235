/// What this target bounds, and why.
enum Limits {
  /// Bytes of a service name that is asked for: as for a key of a lookup.
  static let serviceNameBytes = 256
  /// Bytes of a request to reflection: it holds a name, and clients echo none.
  static let reflectionRequestBytes = 4096
  /// Requests to reflection that wait until the client reads: a client asks for one after the other, or a few at once.
  static let waitingReflectionRequests = 16
  /// Bytes of a reply of reflection beside what it repeats of its request, and beside what all replies share.
  static let reflectionHeadBytes = 512
  /// Seconds between two looks at the statuses: staleness comes with time alone.
  static let healthIntervalSeconds = 1.0
  /// Watches of health that are told of a change in one iteration of a loop.
  static let toldPerTurn = 256
}
