// SPDX-License-Identifier: Apache-2.0
/// The limits on the time that a collector can take.
enum TelemetryLimits {
  /// The maximum duration of the last export; the server is stopping then.
  static let lastExportTimeout = Duration.seconds(1)
  /// The maximum time to establish a connection; meanwhile the thread cannot be stopped.
  static let connectTimeout = Duration.seconds(2)
}
