// SPDX-License-Identifier: Apache-2.0
/// The limits on the time that a collector can take.
enum TelemetryLimits {
  /// The maximum duration of the last export in seconds; the server is stopping then.
  static let lastExportSeconds = 1.0
  /// The maximum time in seconds to establish a connection; meanwhile the thread cannot be stopped.
  static let connectSeconds = 2.0
}
