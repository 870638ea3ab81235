public import Core

/// Judges what was seen of one or more servers of one database against what was true.
///
/// Independent of the product's code. Strict, but never wrong: what it calls a violation is one, whatever the order in
/// which threads ran. Feed it in an order in which things may have happened: a lookup that was answered before another
/// was asked comes first; a notice comes when its subscriber has it.
public struct Validator: Sendable {
  /// What is known of one life of a server.
  struct Server {
    /// What it has answered.
    var answered: [String: KeyHistory.Bounds] = [:]
    /// What its subscribers were told.
    var announced: [String: KeyHistory.Bounds] = [:]
    /// By entity: the highest observed revision it has said.
    var observed: [String: Revision] = [:]
    /// By entity: a moment that lookups or notices have shown, and none before it may be shown afterwards. What shares
    /// a revision is shown together, whatever the keys.
    var shown: [String: Revision] = [:]
    /// True at least when it began to load.
    let start: Revision
    var mayBeWarm = false
    var isWarm = false
  }

  public var history = TrueHistory()
  public internal(set) var violations: [Violation] = []
  /// Of lookups and notices: what was judged.
  public internal(set) var judged = 0
  /// Contents are stale after this.
  let ttlMilliseconds: UInt64
  var servers: [String: Server] = [:]
  var clients: [String: NearCache] = [:]
  private var labels: [String: String] = [:]
  private var etags: [String: String] = [:]
  private var epoch = ""

  public init(ttlMilliseconds: UInt64 = 300_000) {
    self.ttlMilliseconds = ttlMilliseconds
  }

  // MARK: Servers

  /// A server begins its life: everything up to `revision` was true before it began to load.
  public mutating func started(_ server: String, at revision: Revision) {
    servers[server] = Server(start: revision)
  }

  /// From now on the server may have loaded everything; before, it cannot have.
  public mutating func mayBeWarm(_ server: String) {
    servers[server]?.mayBeWarm = true
  }

  /// From now on the server must answer.
  public mutating func mustBeWarm(_ server: String) {
    servers[server]?.isWarm = true
  }

  // MARK: Lookups

  /// To be called before the request is sent.
  public func ask(_ lookup: Lookup) -> PendingLookup {
    let server = servers[lookup.server]
    return PendingLookup(
      lookup: lookup, answered: server?.answered[lookup.key] ?? [], announced: server?.announced[lookup.key] ?? [],
      observed: server?.observed[Self.entity(lookup.key)] ?? .none,
      shown: server?.shown[Self.entity(lookup.key)] ?? .none,
      wasWarm: server?.isWarm ?? false,
      noticeCount: lookup.client.flatMap { clients[$0]?.noticeCount(lookup.key) } ?? 0)
  }

  /// To be called when the reply has come.
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
    // What looks the same may be several answers of a group: no more is concluded than the earliest possible one says.
    let bounds = labels.count > 1 ? bounds(pending, reply, lookup.key, key) : []
    let label = labels.count > 1 ? labels.last { key.seeing($0, bounds) != nil } ?? labels[0] : labels[0]
    judgeState(pending, reply, lookup.key, key, label, label == nil ? nil : revision)
    // Where the true history knows nothing of others, none are looked for.
    let isNamingOthers = !key.isGroup && !history[Self.keyWithOthers(lookup.key)].documents.isEmpty
    let others = label.flatMap { label in
      isNamingOthers ? reply.others.map { Self.label(label, withOthers: $0) } : nil
    }
    if let others { judgeOthers(pending, reply, others) }
    if let client = lookup.client { keep(client, pending, labels[0], revision, others: others) }
  }

  /// The key under which the true history has an answer together with the names of others that its reply gives.
  public static func keyWithOthers(_ key: String) -> String { key + "#others" }

  /// What is shown under ``keyWithOthers(_:)``.
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
    // Made only where it is needed: every lookup comes here.
    var what: String { "\(lookup.server) on \(lookup.key)" }
    if reply.observed < pending.observed {
      violate(
        .asOfWhen, "\(what): the observed revision went back from \(pending.observed.short) to \(reply.observed.short)")
    }
    let known = servers[lookup.server]?.observed[entity] ?? .none
    servers[lookup.server]?.observed[entity] = max(known, reply.observed)
    if reply.observed == .none { violate(.asOfWhen, "\(what): no observed revision") }
    judgeEpoch(reply.epoch, what)
    // A NOT_FOUND carries its position only.
    if case .notFound = reply.result { return }
    if case .found(_, let etag, let revision) = reply.result {
      if revision == .none { violate(.asOfWhen, "\(what): no revision") }
      if etag.isEmpty { violate(.asOfWhen, "\(what): no etag") }
    }
    if reply.isStale != (reply.ageMilliseconds > ttlMilliseconds) {
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

  /// What the reply may show, the latest first, and since when; nil where it cannot be known.
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

  /// Of the answers of a group those that are seen as `label` with these others, in the same order.
  static func whole(
    _ candidates: [(label: String, members: [Member])], _ label: String, _ others: [String]?
  ) -> [String] {
    candidates.filter { _, members in
      members[0].label == label && (others == nil || others == members.dropFirst().map(\.name))
    }.map(\.label)
  }

  /// What the server must have seen of a key that answers the lookup with this reply.
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

  /// `revision` nil: the reply does not say since when all that it shows is so.
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
    // Each by itself, so that the message says which one was broken.
    let before = violations.count
    let said = "\(lookup.server) answers \(lookup.page.map { "\($0)" } ?? name) with \(label ?? "nothing")"
    func check(_ guarantee: Guarantee, _ bounds: KeyHistory.Bounds, _ why: String) {
      guard key.seeing(label, bounds) == nil else { return }
      violate(guarantee, "\(said), \(why); \(history.describe(name, key))")
    }
    if key.canBeSeenInParts(label) {
      check(.asOfWhen, [], "which was never so at one moment")
    } else {
      // What is put together of several answers can be wrong without being old.
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

  /// The server has shown the entity as of a moment no earlier than this.
  mutating func showed(_ server: String, _ entity: String, _ moment: Revision) {
    let known = servers[server]?.shown[entity] ?? .none
    servers[server]?.shown[entity] = max(known, moment)
  }

  // MARK: Figures

  /// Something that must not grow beyond a limit.
  public mutating func measured(_ what: String, _ figure: Int, limit: Int) {
    judged += 1
    if figure > limit { violate(.bounded, "\(what): \(figure), more than \(limit)") }
  }

  /// A guarantee was broken in a way that only the caller can see.
  public mutating func report(_ guarantee: Guarantee, _ text: String) {
    violate(guarantee, text)
  }

  // MARK: Beneath

  mutating func violate(_ guarantee: Guarantee, _ text: String) {
    violations.append(Violation(guarantee: guarantee, text: text))
  }

  mutating func judgeEpoch(_ said: String, _ what: @autoclosure () -> String) {
    if epoch.isEmpty { epoch = said }
    guard said.isEmpty || said != epoch else { return }
    violate(.asOfWhen, "\(what()): the epoch is \"\(said)\", and not \"\(epoch)\"")
  }

  /// Equal content has an equal etag, on every server.
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

  /// The content that the etag stands for; nil if it was never seen.
  public func label(_ etag: String) -> String? { labels[etag] }

  /// The first part of a cache key, or of a name like one.
  static func entity(_ key: String) -> String {
    String(key.prefix { $0 == "_" || $0.isLetter })
  }
}
