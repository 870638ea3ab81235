// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// The options of a watch.
struct WatchOptions {
  var filter: WatchFilter
  /// The caller; nil if no credentials are configured.
  var identity: RPCIdentity?
  var includesValues = false
  var sendsInitialState = false
  var progressInterval: Duration
  /// Where the replay begins; nil to start at the present.
  var start: Revision?
  /// Whether the start is of another database, so that nothing is known about it.
  var isStartForeign = false
  /// The maximum number of changed keys in the coalescing queue. Above it, one RESYNC replaces them.
  var maximumQueuedKeys: Int
}
