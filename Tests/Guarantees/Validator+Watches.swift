// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

extension Validator {
  /// Records that a client opens a watch. Its previous watch is over. The client keeps its content only if the new
  /// watch has a start.
  ///
  /// Must be called before the first notice is passed to ``noticed(_:_:)``.
  ///
  /// - Parameters:
  ///   - client: the name of the client.
  ///   - request: the request of the watch.
  public mutating func opened(_ client: String, _ request: WatchRequest) {
    var cache = clients[client] ?? NearCache()
    if request.start == nil {
      cache.drop { _ in true }
      cache.position = nil
    }
    cache.isWhole = false
    cache.watch = Watch(request)
    clients[client] = cache
  }

  /// Records that the watch of a client is over. Another watch with a start at ``position(_:)`` may keep the client's
  /// content.
  ///
  /// - Parameter client: the name of the client.
  public mutating func closed(_ client: String) {
    clients[client]?.watch = nil
  }

  /// Returns the position from which a client can resume.
  ///
  /// - Parameter client: the name of the client.
  /// - Returns: the position; nil if the content of the client is not reliable.
  public func position(_ client: String) -> Revision? { clients[client]?.position }

  /// Returns whether a client may keep an answer: whether its watch has announced a revision from which on nothing is
  /// missed.
  ///
  /// - Parameter client: the name of the client.
  /// - Returns: true if the client may keep an answer.
  public func mayHold(_ client: String) -> Bool { clients[client]?.watch?.progress != nil }

  /// Checks a notice that a client has received.
  ///
  /// - Parameters:
  ///   - client: the name of the client, which must have a watch.
  ///   - notice: the notice.
  public mutating func noticed(_ client: String, _ notice: SeenNotice) {
    judged += 1
    guard let watch = clients[client]?.watch else {
      preconditionFailure("a notice for a client without a watch")
    }
    judgeEpoch(notice.epoch, "\(watch.request.server), \(notice)")
    if servers[watch.request.server]?.mayBeWarm != true {
      violate(.warmFirst, "\(watch.request.server) sent \(notice) before it can have loaded")
    }
    if watch.progress == nil, notice.kind != .progress {
      violate(.nothingLost, "\(client): a watch must begin with a PROGRESS, not with \(notice)")
    }
    switch notice.kind {
    case .upsert, .delete: changed(client, watch, notice)
    case .resync:
      let entity = notice.key
      clients[client]?.drop { entity.isEmpty || Self.entity($0) == entity }
      clients[client]?.isWhole = false
      clients[client]?.watch?.isInitial = false
    case .progress: progressed(client, watch, notice)
    }
  }

  private mutating func changed(_ client: String, _ watch: Watch, _ notice: SeenNotice) {
    // This is evaluated only if needed, because every notice is checked here.
    var what: String { "\(watch.request.server) tells \(client) \(notice)" }
    let key = history[notice.key]
    if !watch.request.includes(notice.key) { violate(.nothingLost, "\(what), which it did not ask for") }
    if let last = watch.revisions[notice.key], notice.revision < last {
      violate(.nothingLost, "\(what) after one at \(last.short)")
    }
    clients[client]?.watch?.revisions[notice.key] = notice.revision
    clients[client]?.noticeCounts[notice.key, default: 0] += 1
    if notice.kind == .upsert, notice.etag.isEmpty { violate(.asOfWhen, "\(what): no etag") }
    if let label = notice.label { learn(notice.etag, label) }
    judgeName(notice, what)
    var label = notice.kind == .delete ? nil : self.label(notice.etag)
    // The bound of the announced state is that of the earliest answer that looks like this one.
    var least = label
    if let value = label, key.isGroup {
      let candidates = key.groups(asOf: notice.revision)
      let whole = candidates.map { Self.whole($0, value, nil) } ?? []
      (label, least) = (whole.first, whole.last)
      if candidates != nil, label == nil {
        violate(.nothingLost, "\(what), which was not so then; \(history.describe(notice.key))")
      }
    }
    // The etag belongs to no known value, or the answer is not known: the notice cannot be checked.
    guard notice.kind == .delete || label != nil else {
      clients[client]?.held[notice.key] = nil
      clients[client]?.isWhole = false
      // An initial state that contains it is not known completely either.
      clients[client]?.watch?.isInitial = false
      return
    }
    guard let seen = key.seeing(least, asOf: notice.revision) else {
      violate(.nothingLost, "\(what), which was not so then; \(history.describe(notice.key))")
      return
    }
    // The invalid version may differ, because the notice may come from an earlier server process.
    let announced = seen.map { KeyHistory.Bound(position: $0.position, shown: 0) }
    let known = servers[watch.request.server]?.announced[notice.key] ?? []
    servers[watch.request.server]?.announced[notice.key] = KeyHistory.higher(known, announced)
    showed(watch.request.server, Self.entity(notice.key), key.moment(of: announced))
    // Only a lookup shows which other documents the answer names now.
    clients[client]?.held[Self.keyWithOthers(notice.key)] = nil
    if let held = clients[client]?.held[notice.key], notice.revision < held.revision { return }
    clients[client]?.held[notice.key] = NearCache.Held(
      label: label, revision: notice.kind == .delete ? .none : notice.revision)
  }

  /// Checks that cache key, selector and key of a notice agree.
  private mutating func judgeName(_ notice: SeenNotice, _ what: @autoclosure () -> String) {
    guard let selector = notice.selector else { return }
    guard let name = CacheName(notice.key) else {
      return violate(.nothingLost, "\(what()): no cache key")
    }
    if selector.field != name.selector || selector.value != name.key {
      violate(.nothingLost, "\(what()), and names \(selector.field) \"\(selector.value)\"")
    }
  }

  private mutating func progressed(_ client: String, _ watch: Watch, _ notice: SeenNotice) {
    let revision = notice.revision
    if let last = watch.progress, revision < last {
      violate(.asOfWhen, "\(watch.request.server) tells \(client) \(notice) after one at \(last.short)")
    }
    clients[client]?.watch?.progress = revision
    if watch.isInitial, notice.reason == "initial_state" {
      clients[client]?.watch?.isInitial = false
      clients[client]?.isWhole = true
    }
    // Every PROGRESS is a resume position, including the first one: the content of the client must be as of that
    // revision, or of a later one.
    judgeHeld(client, at: revision, "\(watch.request.server) said \(notice)")
    clients[client]?.position = revision
  }

  /// Checks that the content of a client is the current state, after every server has observed a revision and no events
  /// are outstanding.
  ///
  /// - Parameters:
  ///   - client: the name of the client.
  ///   - revision: the revision.
  public mutating func settled(_ client: String, at revision: Revision) {
    judgeHeld(client, at: revision, "all is quiet")
  }

  /// Checks that everything that the client holds is in force as of `revision` or later.
  private mutating func judgeHeld(_ client: String, at revision: Revision, _ when: @autoclosure () -> String) {
    guard let cache = clients[client], let watch = cache.watch else { return }
    let known = Array(cache.held.keys)
    let keys =
      cache.isWhole
      ? history.allKeys.filter(watch.request.includes) + known.filter { CacheName($0) == nil } : known
    for key in keys {
      judged += 1
      let held = cache.held[key]
      guard history[key].seeing(held?.label, history[key].bounds(at: revision)) == nil else { continue }
      let what = held?.label ?? (held == nil ? "nothing, as it was never told of it" : "nothing")
      violate(.nothingLost, "\(client) holds \(key) as \(what), and \(when()); \(history.describe(key))")
    }
  }

  /// Lets a client keep an answer that it has looked up, unless a notice of the key arrived in between or the client
  /// has moved to another server. The client also keeps the names of the other documents in the reply.
  mutating func keep(
    _ client: String, _ pending: PendingLookup, _ label: String?, _ revision: Revision, others: String?
  ) {
    let key = pending.lookup.key
    guard let cache = clients[client], let watch = cache.watch, watch.progress != nil, watch.request.includes(key),
      // An answer of a server that the client has left may be older than what the new server has announced.
      watch.request.server == pending.lookup.server, cache.noticeCount(key) == pending.noticeCount
    else { return }
    clients[client]?.held[key] = NearCache.Held(label: label, revision: revision)
    clients[client]?.held[Self.keyWithOthers(key)] = others.map { NearCache.Held(label: $0, revision: revision) }
  }
}

extension NearCache {
  /// Removes the keys that `isMeant` accepts.
  mutating func drop(_ isMeant: (String) -> Bool) {
    held = held.filter { !isMeant($0.key) }
    drops += 1
  }
}

extension Revision {
  var before: Revision { Revision(rawValue - min(rawValue, 1)) }
}
