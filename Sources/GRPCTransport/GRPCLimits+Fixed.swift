// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The limits that are the same for every server.
extension GRPCLimits {
  /// Bytes of input between two looks at the time of the event-loop iteration: some ten requests.
  static let inputSliceBytes = 1024
  /// Maximum number of bytes of an unknown path that an error message repeats.
  static let shownPathBytes = 128
  /// Maximum number of bytes of request or reply storage that a stream keeps for the next call that uses it.
  static let keptStreamBytes = 4 * 1024
  /// Number of bytes that an open call takes in addition to its request and its replies: the stream here and in
  /// nghttp2, its handler and its timer (measured; see `docs/reference/limits.md`).
  static let openStreamBytes = 2048
  /// Number of bytes that a message takes in the queue of a reply in addition to its own bytes.
  static let queuedMessageBytes = 64
  /// Maximum number of connections and streams whose timeouts are checked in one event-loop iteration.
  static let tickUnits = 1024
  /// Maximum number of streams that an event loop keeps for the next calls: those of one busy iteration.
  static let keptStreams = 512
  /// Maximum number of bytes of a reply that the client accepts: the largest reply.
  static let replyBytes = ServedSize.replyBytes
  /// Number of bytes that the client collects before it writes them.
  static let clientOutputBytes = 64 * 1024
}
