internal import Core
internal import TLS

/// What peers do wrong, in the log: a few lines a minute for each kind of it. Any thread.
final class PeerLog: Sendable {
  private let logger: Logger
  private let budget = LineBudget()

  init(_ logger: Logger) {
    self.logger = logger
  }

  func failed(_ failure: TLSFailure, peer: @autoclosure () -> String) {
    // Probes open a connection and close it.
    if failure.reason == .abandoned {
      return logger.debug("tls_handshake_failed", failure.message, ["peer": .string(peer()), "reason": "abandoned"])
    }
    let reason = failure.reason.rawValue
    guard let suppressed = budget.take(reason) else { return }
    logger.warning(
      "tls_handshake_failed", failure.message,
      ["peer": .string(peer()), "reason": .string(reason), "suppressed": .integer(suppressed)])
  }

  /// A peer speaks TLS to a port that does not.
  func unwanted(peer: @autoclosure () -> String) {
    guard let suppressed = budget.take("tls_to_plain_port") else { return }
    logger.warning(
      "tls_to_plain_port", "the peer speaks TLS, and this port does not: see --tls-certificate",
      ["peer": .string(peer()), "suppressed": .integer(suppressed)])
  }

  /// An HTTP request was refused before its path was looked at.
  func refused(_ refusal: HTTPRequestGuard.Refusal, _ head: HTTPRequestGuard.Head, peer: String) {
    guard let suppressed = budget.take(refusal.rawValue) else { return }
    func shown(_ values: [String]) -> Logger.Field { .string(String(values.joined(separator: ", ").prefix(100))) }
    logger.warning(
      "http_request_refused", refusal.advice,
      [
        "reason": .string(refusal.rawValue), "host": shown(head.hosts), "origin": shown(head.origins),
        "peer": .string(peer), "suppressed": .integer(suppressed),
      ])
  }

  /// A peer does not take its bytes, and was cut.
  func stalled(_ problem: String, peer: @autoclosure () -> String, unsentBytes: Int) {
    guard let suppressed = budget.take("stalled") else { return }
    logger.warning(
      "connection_stalled", problem,
      [
        "peer": .string(peer()), "unsent_bytes": .integer(Int64(unsentBytes)), "suppressed": .integer(suppressed),
      ])
  }
}
