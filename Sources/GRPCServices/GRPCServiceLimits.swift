// SPDX-License-Identifier: Apache-2.0
/// The limits of this target, with their reasons.
enum GRPCServiceLimits {
  /// Maximum number of bytes of a requested service name, the same as for a key of a lookup.
  static let serviceNameBytes = 256
  /// Maximum number of bytes of a reflection request, which contains one name.
  static let reflectionRequestBytes = 4096
  /// Maximum number of reflection requests that wait until the client reads. A client sends one after the other, or a
  /// few at once.
  static let waitingReflectionRequests = 16
  /// Number of bytes of a reflection reply in addition to the part that repeats the request, and the part that all
  /// replies share.
  static let reflectionHeadBytes = 512
  /// Time between two checks of the statuses, because a cache becomes stale by the passage of time alone.
  static let healthInterval = Duration.seconds(1)
  /// Maximum number of health watches that are notified in one event-loop iteration.
  static let notifiedPerIteration = 256
}
