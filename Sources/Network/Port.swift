internal import Core
internal import TLS

/// What all connections of a port have in common. Any thread.
final class Port: Sendable {
  let limits: ConnectionLimits
  let quota: ConnectionQuota
  /// Nil: the port is plain.
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

  /// What a new connection reads from and writes to. Nil without memory.
  func stream(over descriptor: Int32) -> (any ByteStream)? {
    guard let tls else { return PlainSocket(descriptor: descriptor) }
    return TLSSession(accepting: descriptor, tls.context).map { TLSStream($0, descriptor: descriptor) }
  }
}
