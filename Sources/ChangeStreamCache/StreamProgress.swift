// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// The received watermark of a stream: every change up to ``revision`` has been returned.
///
/// It is a type of its own, because a ``LookupBound`` must never take its place: the one is a proof about the past, the
/// other an estimate that may be too late.
public struct ReceivedWatermark: Sendable, Hashable, Comparable {
  /// Every change up to this revision has been returned.
  public let revision: Revision

  /// Creates a watermark that includes a revision.
  ///
  /// - Parameter revision: every change up to it has been returned.
  public init(through revision: Revision) {
    self.revision = revision
  }

  /// Creates a watermark that excludes a revision: other changes of the same revision may follow.
  ///
  /// - Parameter revision: every change before it has been returned.
  public init(before revision: Revision) {
    self.revision = Revision(revision.rawValue - min(revision.rawValue, 1))
  }

  /// Returns whether `left` proves less.
  ///
  /// - Parameters:
  ///   - left: one watermark.
  ///   - right: the other one.
  /// - Returns: true if `left` is lower than `right`.
  public static func < (left: ReceivedWatermark, right: ReceivedWatermark) -> Bool { left.revision < right.revision }
}

/// An upper bound of the moments at which the documents of a reply were looked up: none of them contains a change later
/// than ``revision``.
public struct LookupBound: Sendable, Hashable {
  /// No document was looked up after this revision.
  public let revision: Revision

  /// Creates a bound.
  ///
  /// - Parameter revision: no document was looked up after it.
  public init(_ revision: Revision) {
    self.revision = revision
  }
}

/// What the last reply of a source states about a stream.
public struct StreamProgress: Sendable, Hashable {
  /// The source's operation time. Every later change is still to be received, unless it is among those of the reply.
  public var reportedTime: Revision
  /// The time at which the request was sent that the reply answers.
  ///
  /// A reply proves nothing about the time after its request, regardless of its delay. So the age of the served
  /// contents counts from this time.
  public var askedAt: MonotonicTime
  /// The changes that have been returned, as proven by the source; nil if it cannot tell.
  ///
  /// Without it the cache concludes from `reportedTime`: when a wait returns no change, every change has been received
  /// up to the time that was reported some time before the request.
  public var received: ReceivedWatermark?
  /// The bound of the documents that were looked up for the reply.
  public var lookupBound: LookupBound
  /// The highest time of any member of the database that the source knows. It is ahead of the other times while the
  /// member that serves the stream has lost contact with the others.
  public var databaseTime: Revision
  /// Whether changes of the reply are still to be returned.
  public var hasMore: Bool

  /// Creates the progress that a reply states.
  ///
  /// - Parameters:
  ///   - reportedTime: the source's operation time.
  ///   - askedAt: the time at which the request was sent.
  ///   - received: the changes that have been returned, as proven by the source; nil if it cannot tell.
  ///   - lookupBound: the bound of the documents that were looked up; nil if it is the operation time.
  ///   - databaseTime: the highest time of any member that the source knows; nil if it is the operation time.
  ///   - hasMore: whether changes of the reply are still to be returned.
  public init(
    reportedTime: Revision, askedAt: MonotonicTime, received: ReceivedWatermark? = nil,
    lookupBound: LookupBound? = nil, databaseTime: Revision? = nil, hasMore: Bool = false
  ) {
    self.reportedTime = reportedTime
    self.askedAt = askedAt
    self.received = received
    self.lookupBound = lookupBound ?? LookupBound(reportedTime)
    self.databaseTime = databaseTime ?? reportedTime
    self.hasMore = hasMore
  }

  /// The time by which the served contents are behind the database although no change is missing in the stream: its
  /// member has lost contact with the majority, or one shard of several is slow. It has no meaning while changes of the
  /// reply are still to be returned.
  ///
  /// The resolution is that of cluster times, one second.
  public var majorityLag: Duration {
    let position = received?.revision ?? reportedTime
    // A position just before a second's first revision has the number of the second before.
    let seconds = min(databaseTime.seconds, Revision(position.rawValue + 1).seconds)
    return .seconds(Int64(databaseTime.seconds) - Int64(seconds))
  }
}
