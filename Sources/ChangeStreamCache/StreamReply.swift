// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// What a step of the stream states, in the form in which the engine uses it: an empty reply, or a change of a reply.
struct StreamReply: Sendable {
  /// Every change up to this revision has been received. A change proves the times before its own by itself, so for a
  /// change this may be any earlier revision.
  var received = Revision.none
  /// Documents that were looked up for earlier replies, at or before this revision, contain no change that is still to
  /// be received. Later lookups may: a database can report a time some milliseconds before a change of that time
  /// becomes visible.
  var settled = Revision.none
  /// The bound of the documents that were looked up for this reply.
  var lookupBound: LookupBound
  /// The highest time of the database that the source knows.
  var databaseTime: Revision
  /// The time at which the request was sent.
  var asked: MonotonicTime
  /// The time by which the position of the stream is behind the time of the database; nil if it is not known because
  /// changes of the reply are still to be returned.
  var majorityLag: Duration?
  var now: MonotonicTime
  var wallNow: WallTime
}
