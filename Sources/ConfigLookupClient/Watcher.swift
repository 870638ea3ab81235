// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import NearCache
internal import ProtobufMessages

/// Receives the notices of all connections, updates the near cache by them, and passes them on to the readers. Any
/// thread.
final class Watcher: Sendable {
  private struct State: Sendable {
    /// The current notice stream: its connection and the id of its call.
    var current: (channel: FramedChannel, call: UInt32?)?
    var feeds: [UInt64: NoticeFeed] = [:]
    var lastFeed: UInt64 = 0
    /// Whether the current stream has caught up: its first PROGRESS has been received, or the second of a resumed
    /// stream.
    var isLive = false
    var wasLive = false
    /// The status with which the server rejected the credentials.
    var refusal: RPCStatus?
    var isEnded = false
  }

  private let position: Position
  private let cache: NearCache<CachedValue>?
  private let pushesValues: Bool
  private let metadata: RPCMetadata
  private let state = Locked(State())
  /// Held while notices are applied and while the connection is replaced, so that no notice of a previous connection is
  /// applied after the replacement.
  private let delivery = Locked(())
  private let onChange = LateFunction<Void, Void>()
  /// The number of notices of each entity that may have changed its lists. It is part of the cache keys of list pages:
  /// a page that was cached under a lower number is not found any more.
  private let listGenerations = Locked<[Entity: UInt64]>([:])

  init(position: Position, cache: NearCache<CachedValue>?, pushesValues: Bool, metadata: RPCMetadata) {
    self.position = position
    self.cache = cache
    self.pushesValues = pushesValues
    self.metadata = metadata
  }

  /// Sets the callback. Call it once, before ``connected(_:)``.
  ///
  /// - Parameter onChange: called when ``isLive`` or ``refusal`` may have changed.
  func start(onChange: @escaping @Sendable () -> Void) {
    self.onChange.set(onChange)
  }

  private func stateChanged() {
    _ = onChange()
  }

  /// Whether every change reaches this client.
  var isLive: Bool { state.withLock { $0.isLive } }
  /// Whether ``isLive`` has been true at any time.
  var wasLive: Bool { state.withLock { $0.wasLive } }
  var refusal: RPCStatus? { state.withLock { $0.refusal } }

  /// The number of notices so far that may have changed the lists of an entity.
  func listGeneration(_ entity: Entity) -> UInt64 { listGenerations.withLock { $0[entity] ?? 0 } }

  // MARK: Readers

  func invalidations() -> Invalidations {
    let feed = NoticeFeed()
    let (id, isEnded) = state.withLock { state in
      state.lastFeed += 1
      if !state.isEnded { state.feeds[state.lastFeed] = feed }
      return (state.lastFeed, state.isEnded)
    }
    if isEnded { feed.end() }
    return Invalidations(feed) { [weak self] in
      self?.state.withLock { _ = $0.feeds.removeValue(forKey: id) }
    }
  }

  func close() {
    let feeds = state.withLock { state -> [NoticeFeed] in
      state.isEnded = true
      defer { state.feeds = [:] }
      return Array(state.feeds.values)
    }
    for feed in feeds { feed.end() }
  }

  // MARK: Streams

  /// Opens the notice stream of a new connection, before any lookup is sent over it.
  func connected(_ channel: FramedChannel) {
    let start = delivery.withLock { _ in
      state.withLock { state in
        state.current = (channel, nil)
        state.isLive = false
        state.refusal = nil
      }
      return position.watchStart
    }
    let arena = ProtobufArena()
    let request = withExtendedLifetime(arena) {
      ProtobufArena.pack(
        arena.make(configlookup__v1__watch_invalidations_request__init) {
          $0.start_revision = start.revision
          if start.revision > 0 { $0.epoch = arena.bytes(start.epoch) }
          $0.include_values = pushesValues ? 1 : 0
        })
    }
    let stream = NoticeStream(isResumed: start.revision > 0)
    let call = try? channel.stream("WatchInvalidations", request, metadata: metadata) { [weak self] result in
      self?.received(result, channel, stream)
    }
    state.withLock { state in
      if state.current?.channel === channel { state.current?.call = call }
    }
  }

  /// Handles the loss of a connection, or the decision to leave it. Has no effect if another connection has replaced
  /// it.
  func disconnected(_ channel: FramedChannel) {
    let call = delivery.withLock { _ in
      state.withLock { state -> UInt32? in
        guard let current = state.current, current.channel === channel else { return nil }
        state.current = nil
        state.isLive = false
        return current.call
      }
    }
    if let call { channel.cancel(call) }
    stateChanged()
  }

  private func isCurrent(_ channel: FramedChannel) -> Bool {
    state.withLock { $0.current?.channel === channel }
  }

  /// Handles a reply of the notice stream. Called on the channel's thread.
  private func received(
    _ result: Result<RPCClientReply, RPCClientError>, _ channel: FramedChannel, _ stream: NoticeStream
  ) {
    guard case .success(let reply) = result else { return }
    guard reply.status.code == .ok else { return refused(reply.status, channel) }
    guard reply.more || !reply.payload.isEmpty else { return }
    let becameLive = delivery.withLock { _ in
      guard isCurrent(channel) else { return false }
      stream.read(reply.payload, hasValue: pushesValues) { notice, value in
        apply(notice, value, stream)
      }
      guard stream.isHeard else { return false }
      return state.withLock { state in
        defer {
          state.isLive = true
          state.wasLive = true
        }
        return !state.isLive
      }
    }
    if becameLive { stateChanged() }
  }

  private func refused(_ status: RPCStatus, _ channel: FramedChannel) {
    let isRefusal = status.code == .unauthenticated || status.code == .permissionDenied
    let wasCurrent = delivery.withLock { _ in
      guard isCurrent(channel) else { return false }
      if status.code == .failedPrecondition { position.startAnew() }
      if isRefusal { state.withLock { $0.refusal = status } }
      return true
    }
    guard wasCurrent else { return }
    // This connection delivers no notices; another one may.
    channel.finish()
    disconnected(channel)
  }

  private func apply(_ notice: Notice, _ value: CachedValue?, _ stream: NoticeStream) {
    if position.show(nil, 0, epoch: notice.epoch) { cache?.clear() }
    switch notice.kind {
    case .progress:
      // The first PROGRESS of a resumed stream names its start; the changes since then follow it.
      if stream.isResumed, !stream.isBegun {
        stream.isBegun = true
        return
      }
      // A change of answers that were fetched before this stream was opened may have been missed.
      if !stream.isResumed, !stream.isHeard { cache?.clear() }
      stream.isHeard = true
      position.progress(notice.revision, epoch: notice.epoch)
      cache?.confirm()
    case .resync: drop(notice.entity)
    case .upsert, .delete:
      position.show(notice.entity, notice.revision, epoch: notice.epoch)
      change(notice, value)
    }
    for feed in state.withLock({ Array($0.feeds.values) }) { feed.add(notice) }
  }

  private func drop(_ entity: Entity?) {
    guard let cache else { return }
    guard let entity else { return cache.clear() }
    cache.invalidate(prefix: "\(entity.name):")
    cache.invalidate(prefix: Keys.derivedPrefix(entity))
    listGenerations.withLock { $0[entity, default: 0] += 1 }
  }

  private func change(_ notice: Notice, _ value: CachedValue?) {
    guard let cache, let entity = notice.entity, let key = Keys.noticed(notice) else { return }
    listGenerations.withLock { $0[entity, default: 0] += 1 }
    // A server of an older version announces only the answers of the primary selector.
    if notice.selector.isEmpty { cache.invalidate(prefix: Keys.derivedPrefix(entity)) }
    if notice.kind == .upsert, let value, cache.replace(key, by: value) { return }
    // An answer that was fetched while the notice was on its way may contain the change already.
    cache.invalidate(key, unless: { $0?.includes(notice) ?? false })
    guard key.entity == Keys.containers else { return }
    cache.invalidate(entity: Keys.blobs, identifier: notice.key, unless: { $0?.includes(notice) ?? false })
  }
}

/// The state of one notice stream. Used on its channel's thread only.
private final class NoticeStream: @unchecked Sendable {
  // Safe to share: all members are used on the channel's thread only.
  private let arena = ProtobufArena()
  let isResumed: Bool
  /// Whether the first PROGRESS has been received.
  var isBegun = false
  /// Whether all changes since the end of the previous stream have been received.
  var isHeard = false

  init(isResumed: Bool) {
    self.isResumed = isResumed
  }

  func read(_ payload: [UInt8], hasValue: Bool, _ body: (Notice, CachedValue?) -> Void) {
    payload.withUnsafeBytes { bytes in
      // A message that cannot be decoded is of a kind that this version of the library does not support.
      try? arena.withUnpacked(bytes, by: configlookup__v1__invalidation_notice__unpack, limit: .max) { message in
        guard let notice = Notice(message.pointee) else { return }
        body(notice, hasValue ? CachedValue(message.pointee, notice, byteCount: bytes.count) : nil)
      }
    }
  }
}

extension CachedValue {
  /// Makes a cached value from the value of a notice; nil if the notice carries none.
  fileprivate init?(_ message: Configlookup__V1__InvalidationNotice, _ notice: Notice, byteCount: Int) {
    func answer<Value: Cacheable>(_ value: Value) -> CachedValue.Content {
      Value.cachedContent(
        Answer(
          value: value, revision: notice.revision, etag: notice.etag,
          // Another change of the same revision may follow.
          observedRevision: notice.revision - min(1, notice.revision), isStale: false))
    }
    switch message.value_case {
    case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_AGENT_CONFIG:
      guard let value = message.agent_config else { return nil }
      content = answer(AgentConfig(value.pointee))
    case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_PROMPT:
      guard let value = message.prompt else { return nil }
      content = answer(Prompt(value.pointee))
    case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_SOURCE_CONFIG:
      // The answer of a container or an AI agent also names other sources, which the notice does not carry.
      guard let value = message.source_config, notice.selector.isEmpty || notice.selector == "source_id" else {
        return nil
      }
      content = answer(SourceConfig(value.pointee))
    default: return nil
    }
    revision = notice.revision
    self.byteCount = byteCount
  }
}
