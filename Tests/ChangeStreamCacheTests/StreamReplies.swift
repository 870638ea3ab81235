// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

@testable internal import ChangeStreamCache

extension StreamReply {
  /// An empty reply of a source: every change up to `received` has been received, and lookups up to `settled` are
  /// covered by received changes.
  static func reporting(_ received: UInt64, settled: UInt64) -> StreamReply {
    var reply = bounded(max(received, settled))
    (reply.received, reply.settled) = (Revision(received), Revision(settled))
    return reply
  }

  /// A reply with a change, whose documents were looked up at `time` or before. It proves nothing else.
  static func bounded(_ time: UInt64) -> StreamReply {
    StreamReply(
      lookupBound: LookupBound(Revision(time)), databaseTime: Revision(time), asked: .now, now: .now, wallNow: .now)
  }
}
