internal import Core
internal import TLS

/// What peers do wrong, in the log: a few lines a minute for each kind of it, whoever floods us. Any thread.
final class PeerLog: Sendable {
  private struct Minute: Sendable {
    var start: MonotonicTime
    var lines = 0
    var suppressed: Int64 = 0
  }

  private let logger: Logger
  private let minutes = Locked<[String: Minute]>([:])

  init(_ logger: Logger) {
    self.logger = logger
  }

  func failed(_ failure: TLSFailure, peer: @autoclosure () -> String) {
    // Probes open a connection and close it.
    if failure.reason == .abandoned {
      return logger.debug("tls_handshake_failed", failure.message, ["peer": .string(peer()), "reason": "abandoned"])
    }
    let reason = failure.reason.rawValue
    guard let suppressed = take(reason) else { return }
    logger.warning(
      "tls_handshake_failed", failure.message,
      ["peer": .string(peer()), "reason": .string(reason), "suppressed": .integer(suppressed)])
  }

  /// A peer speaks TLS to a port that does not.
  func unwanted(peer: @autoclosure () -> String) {
    guard let suppressed = take("tls_to_plain_port") else { return }
    logger.warning(
      "tls_to_plain_port", "the peer speaks TLS, and this port does not: see --tls-certificate",
      ["peer": .string(peer()), "suppressed": .integer(suppressed)])
  }

  /// A peer does not take its bytes, and was cut.
  func stalled(_ problem: String, peer: @autoclosure () -> String, unsentBytes: Int) {
    guard let suppressed = take("stalled") else { return }
    logger.warning(
      "connection_stalled", problem,
      [
        "peer": .string(peer()), "unsent_bytes": .integer(Int64(unsentBytes)), "suppressed": .integer(suppressed),
      ])
  }

  /// Whether to write a line now: how many were left out since the last one, or nil.
  private func take(_ reason: String) -> Int64? {
    let now = MonotonicTime.now
    return minutes.withLock { minutes in
      var minute = minutes[reason] ?? Minute(start: now)
      defer { minutes[reason] = minute }
      if now.seconds(since: minute.start) >= Limits.peerReportSeconds {
        minute = Minute(start: now, suppressed: minute.suppressed)
      }
      guard minute.lines < Limits.peerReports else {
        minute.suppressed += 1
        return nil
      }
      minute.lines += 1
      defer { minute.suppressed = 0 }
      return minute.suppressed
    }
  }
}
