internal import Core
internal import RPC

/// What a watch asks for.
struct WatchOptions {
  var filter: WatchFilter
  /// The caller; nil where no credentials are configured.
  var identity: RPCIdentity?
  var includesValues = false
  var sendsInitialState = false
  var progressInterval: Duration
  /// Replay from here; nil: from now on.
  var start: Revision?
  /// Whether the start is not of this database: nothing about it is known.
  var isStartForeign = false
  /// More changed keys than this that wait are one RESYNC.
  var maximumQueuedKeys: Int
}

extension Duration {
  /// Whole nanoseconds; 0 for a negative duration. Of at most some centuries.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    return seconds < 0 || attoseconds < 0 ? 0 : UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
  }
}
