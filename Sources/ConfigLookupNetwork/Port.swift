// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupTLS

/// The configuration that all connections of a listener share. It may be used from any thread.
final class Port: Sendable {
  let limits: ConnectionLimits
  let quota: ConnectionQuota
  /// Nil for a cleartext port.
  let tls: TLSServer?
  let peers: PeerLog
  let report: LimitReport

  init(
    limits: ConnectionLimits, quota: ConnectionQuota, tls: TLSServer?, logger: Logger, report: LimitReport
  ) {
    self.limits = limits
    self.quota = quota
    self.tls = tls
    self.report = report
    peers = PeerLog(logger)
  }

  /// Creates the byte stream of a new connection. Nil if there is no memory.
  func stream(over descriptor: Int32) -> (any ByteStream)? {
    guard let tls else { return PlainSocket(descriptor: descriptor) }
    return TLSSession(accepting: descriptor, tls.context).map { TLSStream($0, descriptor: descriptor) }
  }
}
