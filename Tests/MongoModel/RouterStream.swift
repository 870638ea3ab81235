// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A change stream over all shards (`AsyncResultsMerger`): an event is returned when every other shard has promised
/// that it has nothing earlier.
struct RouterStream {
  private struct Source {
    var stream: ChangeStreamState
    /// The events that have come and cannot be returned yet, with their tokens.
    var events: [(token: String, event: BSONDocument)] = []
    /// The token of which the shard has promised that everything before it has come, as the router knows it.
    var promise: String
    var promised: BSONDocument
    /// When the next answer of the shard comes.
    var due = 0.0
    /// The member that has the cursor; its cursor is lost when the connections of the member are closed.
    var member: Int
    var disconnections: Int
  }

  let namespace: Namespace
  private var sources: [Source] = []
  /// Events up to this token are skipped: the stream resumes after it.
  private var resumeToken: String?
  private(set) var token: BSONDocument
  private(set) var isInvalidated = false
  private(set) var error: CommandError?

  init(_ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt) throws(Interruption) {
    namespace = request.namespace
    token = .empty
    var options = request.documents("pipeline").first?.field("$changeStream")?.document ?? .empty
    if ["resumeAfter", "startAfter", "startAtOperationTime"].allSatisfy({ options.field($0) == nil }) {
      // The router begins at its own clock.
      var builder = BSONBuilder(options)
      builder.append("startAtOperationTime", shards.map(\.set.clusterTime).max() ?? .none)
      options = builder.document
    }
    let given = options.field("resumeAfter") ?? options.field("startAfter")
    resumeToken = given?.document?.field("_data")?.text
    for shard in shards.indices {
      guard let primary = shards[shard].set.primary else { throw .failed(Router.noPrimary) }
      var stream = try shards[shard].open(options, request, at: primary)
      stream.sought = nil
      // A mark of a time is a promise of everything before it.
      let text = stream.token.field("_data")?.text ?? ""
      sources.append(
        Source(
          stream: stream, promise: text, promised: stream.token, member: primary,
          disconnections: shards[shard].set.members[primary].disconnections))
      token = stream.token
    }
  }

  /// When the next answer of a shard comes at the earliest, of those that are delayed.
  func nextAnswer(after now: Double) -> Double { sources.map(\.due).filter { $0 > now }.min() ?? .infinity }

  /// Takes what the shards have by now. A shard with a delay answers that long after the last answer.
  mutating func fetch(_ shards: inout [MongodModel], now: Double, delays: [Int: Double], _ attempt: inout Attempt) {
    for index in sources.indices {
      let member = sources[index].member
      guard shards[index].set.members[member].disconnections == sources[index].disconnections else {
        error = CommandError(43, "CursorNotFound", "the cursor of a shard is gone")
        return
      }
      if let delay = delays[index], delay > 0 {
        if sources[index].due == 0 { sources[index].due = now + delay }
        if now < sources[index].due { continue }
        sources[index].due = now + delay
      }
      var stream = sources[index].stream
      var own = Attempt(startedAt: attempt.startedAt)
      do throws(Interruption) {
        let events = try shards[index].nextEvents(&stream, at: member, &own, size: .max, awaitingUntil: nil)
        for event in events {
          let token = event.field("_id")?.document?.field("_data")?.text ?? ""
          if let resumeToken, token <= resumeToken { continue }
          sources[index].events.append((token, event))
        }
      } catch {
        if case .failed(let failure) = error { self.error = failure }
      }
      sources[index].stream = stream
      let promise = stream.token.field("_data")?.text ?? ""
      if promise > sources[index].promise {
        sources[index].promise = promise
        sources[index].promised = stream.token
      }
    }
  }

  /// Removes the events that can be returned, in order, and sets the token: the last event's if more can be returned,
  /// otherwise the least promise.
  mutating func takeReady(_ size: Int) -> [BSONDocument] {
    var events: [BSONDocument] = []
    while events.count < size, !isInvalidated {
      let next = sources.indices.filter { !sources[$0].events.isEmpty }
        .min { sources[$0].events[0].token < sources[$1].events[0].token }
      guard let next else { break }
      let (text, event) = sources[next].events[0]
      let isSafe = sources.indices.allSatisfy { index in
        index == next || !sources[index].events.isEmpty || sources[index].promise >= text
      }
      guard isSafe else { break }
      sources[next].events.removeFirst()
      events.append(event)
      token = event.field("_id")?.document ?? token
      isInvalidated = event.field("operationType")?.text == "invalidate"
    }
    let last = token.field("_data")?.text ?? ""
    // A shard promises only what comes before its own waiting events.
    let least = sources.map { source in
      source.events.first.map { ($0.token, source.promised) } ?? (source.promise, source.promised)
    }
    .min { $0.0 < $1.0 }
    let hasWaiting = sources.contains { !$0.events.isEmpty }
    if !isInvalidated, !hasWaiting, let least, least.0 > last { token = least.1 }
    return events
  }
}
