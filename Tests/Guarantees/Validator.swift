// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// Compares the observations of one or more servers of one database with the true history.
///
/// It is independent of the product's code. It is strict and never wrong: every reported violation is one, regardless
/// of the order in which threads ran. Observations must be passed in an order in which they may have happened: a lookup
/// that was answered before another was requested comes first, and a notice comes when its subscriber has received it.
public struct Validator: Sendable {
  /// The state of one server process.
  struct Server {
    /// For each key, the bounds of what the server has answered.
    var answered: [String: KeyHistory.Bounds] = [:]
    /// For each key, the bounds of what the server has announced to its subscribers.
    var announced: [String: KeyHistory.Bounds] = [:]
    /// For each entity, the highest observed revision in a reply.
    var observed: [String: Revision] = [:]
    /// For each entity, a time that lookups or notices have shown. Nothing before it may be shown afterwards. Changes
    /// of one revision are shown together, for all keys.
    var shown: [String: Revision] = [:]
    /// A revision that was in force when the server began to load.
    let start: Revision
    var mayBeWarm = false
    var isWarm = false
  }

  /// The true history.
  public var history = TrueHistory()
  /// The violations so far.
  public internal(set) var violations: [Violation] = []
  /// The number of checked lookups and notices.
  public internal(set) var judged = 0
  /// The age from which contents are stale, in milliseconds.
  let ttlMilliseconds: UInt64
  var servers: [String: Server] = [:]
  var clients: [String: NearCache] = [:]
  private var labels: [String: String] = [:]
  private var etags: [String: String] = [:]
  private var epoch = ""

  /// Creates a validator.
  ///
  /// - Parameter ttlMilliseconds: the TTL of the servers, in milliseconds.
  public init(ttlMilliseconds: UInt64 = 300_000) {
    self.ttlMilliseconds = ttlMilliseconds
  }

  // MARK: Servers

  /// Records that a server process starts.
  ///
  /// - Parameters:
  ///   - server: the name of the server process.
  ///   - revision: a revision up to which everything was in force before the server began to load.
  public mutating func started(_ server: String, at revision: Revision) {
    servers[server] = Server(start: revision)
  }

  /// Records that the server may have loaded everything. Before this call it cannot have.
  ///
  /// - Parameter server: the name of the server process.
  public mutating func mayBeWarm(_ server: String) {
    servers[server]?.mayBeWarm = true
  }

  /// Records that the server must answer from now on.
  ///
  /// - Parameter server: the name of the server process.
  public mutating func mustBeWarm(_ server: String) {
    servers[server]?.isWarm = true
  }

  // MARK: Lookups

  /// Begins a lookup. Must be called before the request is sent.
  ///
  /// - Parameter lookup: the request.
  /// - Returns: the lookup in progress, for ``answered(_:_:)``.
  public func ask(_ lookup: Lookup) -> PendingLookup {
    let server = servers[lookup.server]
    return PendingLookup(
      lookup: lookup, answered: server?.answered[lookup.key] ?? [], announced: server?.announced[lookup.key] ?? [],
      observed: server?.observed[Self.entity(lookup.key)] ?? .none,
      shown: server?.shown[Self.entity(lookup.key)] ?? .none,
      wasWarm: server?.isWarm ?? false,
      noticeCount: lookup.client.flatMap { clients[$0]?.noticeCount(lookup.key) } ?? 0)
  }

  /// Checks a reply. Must be called after it has been received.
  ///
  /// - Parameters:
  ///   - pending: the lookup in progress.
  ///   - reply: the reply.
  public mutating func answered(_ pending: PendingLookup, _ reply: LookupReply) {
    judged += 1
    let lookup = pending.lookup
    guard let server = servers[lookup.server] else {
      preconditionFailure("a lookup of a server that was not said to have started")
    }
    if case .refused(let isUnavailable, let text) = reply.result {
      judgeRefusal(pending, isUnavailable, text)
      return
    }
    if !server.mayBeWarm {
      violate(.warmFirst, "\(lookup.server) answered \(lookup.key) before it can have loaded")
    }
    servers[lookup.server]?.isWarm = true
    judgePosition(pending, reply)
    let key = lookup.page.map { history.list($0.list).page($0) } ?? history[lookup.key]
    if case .composed(let label, let parts) = reply.result {
      judgeState(pending, reply, lookup.key, key, label, nil)
      for part in parts { judgePart(part, "\(lookup.server) on \(lookup.key)") }
      return
    }
    guard let (labels, revision) = content(lookup, key, reply) else { return }
    // Several answers of a group can look the same. Then only what follows from the earliest possible one is concluded.
    let bounds = labels.count > 1 ? bounds(pending, reply, lookup.key, key) : []
    let label = labels.count > 1 ? labels.last { key.seeing($0, bounds) != nil } ?? labels[0] : labels[0]
    judgeState(pending, reply, lookup.key, key, label, label == nil ? nil : revision)
    // If the true history contains no other documents, they are not checked.
    let isNamingOthers = !key.isGroup && !history[Self.keyWithOthers(lookup.key)].documents.isEmpty
    let others = label.flatMap { label in
      isNamingOthers ? reply.others.map { Self.label(label, withOthers: $0) } : nil
    }
    if let others { judgeOthers(pending, reply, others) }
    if let client = lookup.client { keep(client, pending, labels[0], revision, others: others) }
  }

  /// Returns the name in the true history of an answer together with the names of the other documents in its reply.
  ///
  /// - Parameter key: the cache key.
  /// - Returns: the name.
  public static func keyWithOthers(_ key: String) -> String { key + "#others" }

  /// Returns the label that belongs to ``keyWithOthers(_:)``.
  ///
  /// - Parameters:
  ///   - label: the label of the answer.
  ///   - others: the names of the other documents.
  /// - Returns: the label.
  public static func label(_ label: String, withOthers others: [String]) -> String { "\(label), others \(others)" }

  private mutating func judgeOthers(_ pending: PendingLookup, _ reply: LookupReply, _ others: String) {
    let key = Self.keyWithOthers(pending.lookup.key)
    judgeState(pending, reply, key, history[key], others, nil)
  }

  private mutating func judgePart(_ part: LookupReply.Part, _ what: String) {
    if part.revision == .none { violate(.asOfWhen, "\(what): no revision of \(part.key)") }
    guard history[part.key].seeing(part.label, asOf: part.revision) == nil else { return }
    violate(
      .asOfWhen,
      "\(what): \(part.label) as of \(part.revision.short), which was not so then; \(history.describe(part.key))")
  }

  private mutating func judgeRefusal(_ pending: PendingLookup, _ isUnavailable: Bool, _ text: String) {
    let lookup = pending.lookup
    if !pending.wasWarm, !isUnavailable {
      violate(.warmFirst, "\(lookup.server) is not warm, and says of \(lookup.key): \(text)")
    }
    if pending.wasWarm, lookup.isUnconditional {
      violate(.alwaysAnAnswer, "\(lookup.server) is warm, and refuses \(lookup.key): \(text)")
    }
  }

  private mutating func judgePosition(_ pending: PendingLookup, _ reply: LookupReply) {
    let (lookup, entity) = (pending.lookup, Self.entity(pending.lookup.key))
    // This is evaluated only if needed, because every lookup is checked here.
    var what: String { "\(lookup.server) on \(lookup.key)" }
    if reply.observed < pending.observed {
      violate(
        .asOfWhen, "\(what): the observed revision went back from \(pending.observed.short) to \(reply.observed.short)")
    }
    let known = servers[lookup.server]?.observed[entity] ?? .none
    servers[lookup.server]?.observed[entity] = max(known, reply.observed)
    if reply.observed == .none { violate(.asOfWhen, "\(what): no observed revision") }
    judgeEpoch(reply.epoch, what)
    // A NOT_FOUND contains only its position.
    if case .notFound = reply.result { return }
    if case .found(_, let etag, let revision) = reply.result {
      if revision == .none { violate(.asOfWhen, "\(what): no revision") }
      if etag.isEmpty { violate(.asOfWhen, "\(what): no etag") }
    }
    if let isBehind = reply.isBehindMajority, reply.isStale != (reply.ageMilliseconds > ttlMilliseconds || isBehind) {
      violate(.asOfWhen, "\(what): stale is \(reply.isStale) at an age of \(reply.ageMilliseconds) ms")
    }
    if reply.ageMilliseconds < reply.leastAgeMilliseconds {
      violate(
        .asOfWhen,
        "\(what): says an age of \(reply.ageMilliseconds) ms, and cannot have heard of the database for "
          + "\(reply.leastAgeMilliseconds) ms")
    }
    if lookup.maximumStalenessMilliseconds > 0, reply.ageMilliseconds > lookup.maximumStalenessMilliseconds {
      violate(.asOfWhen, "\(what): older than asked for, \(reply.ageMilliseconds) ms")
    }
  }

  /// The possible labels of the reply, the latest first, and the revision since which they hold; nil if they are not
  /// known.
  private mutating func content(
    _ lookup: Lookup, _ key: KeyHistory, _ reply: LookupReply
  ) -> (labels: [String?], revision: Revision)? {
    switch reply.result {
    case .refused, .composed: return nil
    case .notFound: return ([nil], .none)
    case .found(let label, let etag, let revision):
      if let label { learn(etag, label) }
      guard let label = label ?? labels[etag] else { return nil }
      guard key.isGroup else { return ([label], revision) }
      guard let candidates = key.groups(asOf: revision) else { return nil }
      let whole = Self.whole(candidates, label, reply.others)
      if !whole.isEmpty { return (whole, revision) }
      let names = reply.others.map { ", others \($0)," } ?? ""
      violate(
        .asOfWhen,
        "\(lookup.server) answers \(lookup.key) with \(label)\(names) as of \(revision.short), which was not so then; "
          + history.describe(lookup.key))
      return nil
    }
  }

  /// Returns those answers of a group that a reply shows as `label`, with these others in the same order.
  static func whole(
    _ candidates: [(label: String, members: [Member])], _ label: String, _ others: [String]?
  ) -> [String] {
    candidates.filter { _, members in
      members[0].label == label && (others == nil || others == members.dropFirst().map(\.name))
    }.map(\.label)
  }

  /// The lower bounds of what the server must have seen of a key when it sends this reply.
  private func bounds(
    _ pending: PendingLookup, _ reply: LookupReply, _ name: String, _ key: KeyHistory
  ) -> KeyHistory.Bounds {
    let isOwn = name == pending.lookup.key
    return [
      isOwn ? pending.answered : [], isOwn ? pending.announced : [], key.bounds(at: pending.shown),
      key.bounds(at: max(reply.observed, pending.lookup.minimumRevision, pending.lookup.knownRevision)),
      key.bounds(at: servers[pending.lookup.server]?.start ?? .none),
    ].reduce([], KeyHistory.higher)
  }

  /// Checks the state that a reply shows. `revision` is nil if the reply contains no revision for its whole content.
  private mutating func judgeState(
    _ pending: PendingLookup, _ reply: LookupReply, _ name: String, _ key: KeyHistory, _ label: String?,
    _ revision: Revision?
  ) {
    let lookup = pending.lookup
    let isOwn = name == lookup.key
    let (answered, announced) = isOwn ? (pending.answered, pending.announced) : ([], [])
    let all = bounds(pending, reply, name, key)
    if let seen = key.seeing(label, all) {
      if let revision, key.seeing(label, asOf: revision) == nil {
        violate(
          .asOfWhen,
          "\(lookup.server) answers \(name) with \(label ?? "nothing") as of \(revision.short), which was not so "
            + "then; \(history.describe(name))")
      }
      showed(lookup.server, Self.entity(name), key.moment(of: seen))
      guard isOwn else { return }
      let known = servers[lookup.server]?.answered[name] ?? []
      servers[lookup.server]?.answered[name] = KeyHistory.higher(known, seen)
      return
    }
    // Each bound is checked by itself, so that the message names the violated guarantee.
    let before = violations.count
    let said = "\(lookup.server) answers \(lookup.page.map { "\($0)" } ?? name) with \(label ?? "nothing")"
    func check(_ guarantee: Guarantee, _ bounds: KeyHistory.Bounds, _ why: String) {
      guard key.seeing(label, bounds) == nil else { return }
      violate(guarantee, "\(said), \(why); \(history.describe(name, key))")
    }
    if key.canBeSeenInParts(label) {
      check(.asOfWhen, [], "which was never so at one moment")
    } else {
      // A content of several answers can be wrong without being old.
      check(revision == nil && label != nil ? .asOfWhen : .neverBack, [], "which was never so")
    }
    guard violations.count == before else { return }
    check(.neverBack, answered, "which is older than what it has answered")
    check(.noticeAfterTheFact, announced, "which is older than what it has announced")
    check(.warmFirst, key.bounds(at: servers[lookup.server]?.start ?? .none), "which is older than its start")
    check(.anyServer, key.bounds(at: lookup.minimumRevision), "though asked for \(lookup.minimumRevision.short)")
    check(.asOfWhen, key.bounds(at: reply.observed), "and says that it has observed \(reply.observed.short)")
    check(.nothingLost, key.bounds(at: lookup.knownRevision), "and all is quiet since \(lookup.knownRevision.short)")
    guard violations.count == before else { return }
    check(.asOfWhen, key.bounds(at: pending.shown), "though other keys have been seen as of \(pending.shown.short)")
    if violations.count == before { check(.neverBack, all, "which was so, but not after all that it has said") }
  }

  /// Records that the server has shown the entity as of a time that is not before `moment`.
  mutating func showed(_ server: String, _ entity: String, _ moment: Revision) {
    let known = servers[server]?.shown[entity] ?? .none
    servers[server]?.shown[entity] = max(known, moment)
  }

  // MARK: Figures

  /// Checks that a number does not exceed a limit.
  ///
  /// - Parameters:
  ///   - what: the name of the number.
  ///   - figure: the number.
  ///   - limit: the limit.
  public mutating func measured(_ what: String, _ figure: Int, limit: Int) {
    judged += 1
    if figure > limit { violate(.bounded, "\(what): \(figure), more than \(limit)") }
  }

  /// Reports a violation that only the caller can observe.
  ///
  /// - Parameters:
  ///   - guarantee: the violated guarantee.
  ///   - text: the observation.
  public mutating func report(_ guarantee: Guarantee, _ text: String) {
    violate(guarantee, text)
  }

  // MARK: Private

  mutating func violate(_ guarantee: Guarantee, _ text: String) {
    violations.append(Violation(guarantee: guarantee, text: text))
  }

  mutating func judgeEpoch(_ said: String, _ what: @autoclosure () -> String) {
    if epoch.isEmpty { epoch = said }
    guard said.isEmpty || said != epoch else { return }
    violate(.asOfWhen, "\(what()): the epoch is \"\(said)\", and not \"\(epoch)\"")
  }

  /// Records that an etag belongs to a content, and checks that equal contents have equal etags on every server.
  ///
  /// - Parameters:
  ///   - etag: the etag.
  ///   - label: the label of the content.
  public mutating func learn(_ etag: String, _ label: String) {
    if let known = labels[etag], known != label {
      violate(.asOfWhen, "etag \(etag) stands for \(known) and for \(label)")
    }
    if let known = etags[label], known != etag {
      violate(.asOfWhen, "\(label) has two etags: \(known) and \(etag)")
    }
    labels[etag] = label
    etags[label] = etag
  }

  /// Returns the content that belongs to an etag.
  ///
  /// - Parameter etag: the etag.
  /// - Returns: the label; nil if the etag is not known.
  public func label(_ etag: String) -> String? { labels[etag] }

  /// The first part of a cache key, or of a similar name.
  static func entity(_ key: String) -> String {
    String(key.prefix { $0 == "_" || $0.isLetter })
  }
}
