// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupTLS

/// Logs failures and violations of peers. The lines are rate-limited for each kind. It may be used from any thread.
final class PeerLog: Sendable {
  private let logger: RateLimitedLogger

  init(_ logger: Logger) {
    self.logger = RateLimitedLogger(logger)
  }

  func failed(_ failure: TLSFailure, peer: @autoclosure () -> String) {
    // Probes open a connection and close it.
    let level: Logger.Level = failure.reason == .abandoned ? .debug : .warning
    let reason = failure.reason.rawValue
    logger.log(
      level, "tls_handshake_failed", reason: reason, failure.message,
      ["peer": .string(peer()), "reason": .string(reason)])
  }

  /// Logs that a peer used TLS on a cleartext port.
  func unwanted(peer: @autoclosure () -> String) {
    logger.log(
      .warning, "tls_to_plain_port", reason: "tls_to_plain_port",
      "The peer sent TLS to a cleartext port; see --tls-certificate", ["peer": .string(peer())])
  }

  /// Logs that an HTTP request was rejected before its path was examined.
  func refused(_ refusal: HTTPRequestGuard.Refusal, _ head: HTTPRequestGuard.Head, peer: @autoclosure () -> String) {
    func shown(_ values: [String]) -> Logger.Field { .string(String(values.joined(separator: ", ").prefix(100))) }
    logger.log(
      .warning, "http_request_refused", reason: refusal.rawValue, refusal.advice,
      [
        "reason": .string(refusal.rawValue), "host": shown(head.hosts), "origin": shown(head.origins),
        "peer": .string(peer()),
      ])
  }

  /// Logs that the system has no descriptor or no memory for a connection.
  func acceptFailed(_ code: Int32, listen: SocketAddress, connections: Int) {
    logger.log(
      .error, "accept_failed", reason: "accept_failed",
      "\(systemMessage(code)); raise the limit of open files, or lower the limit of connections",
      ["listen": "\(listen)", "connections": .integer(Int64(connections))])
  }

  /// Logs that a connection was closed because its peer did not read.
  func stalled(_ problem: String, peer: @autoclosure () -> String, unsentBytes: Int) {
    logger.log(
      .warning, "connection_stalled", reason: "stalled", problem,
      ["peer": .string(peer()), "unsent_bytes": .integer(Int64(unsentBytes))])
  }
}
