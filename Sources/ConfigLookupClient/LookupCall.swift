// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import NearCache
internal import ProtobufMessages

/// A kind of lookup: how its request is encoded and its reply decoded.
struct LookupCall<Response, Value: Sendable>: Sendable {
  typealias Options = UnsafeMutablePointer<Configlookup__V1__LookupOptions>
  typealias Unpack =
    @Sendable (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) ->
    UnsafeMutablePointer<Response>?

  let entity: Entity
  let method: String
  let unpack: Unpack
  let write: @Sendable (Options, ProtobufArena) -> [UInt8]
  let read: @Sendable (Response) -> (Value?, UnsafeMutablePointer<Configlookup__V1__LookupMetadata>?)
  /// Whether this is a list. The server ensures that the answer to a lookup is not older than the answers before it; a
  /// list request has no `min_revision`, so the client checks its page.
  private(set) var isList = false

  /// Makes a list lookup, whose request has no options.
  init(
    _ entity: Entity, list method: String, _ unpack: @escaping Unpack,
    write: @escaping @Sendable (ProtobufArena) -> [UInt8],
    read: @escaping @Sendable (Response) -> (Value?, UnsafeMutablePointer<Configlookup__V1__LookupMetadata>?)
  ) {
    self.init(entity, method, unpack, write: { write($1) }, read: read)
    isList = true
  }

  init(
    _ entity: Entity, _ method: String, _ unpack: @escaping Unpack,
    write: @escaping @Sendable (Options, ProtobufArena) -> [UInt8],
    read: @escaping @Sendable (Response) -> (Value?, UnsafeMutablePointer<Configlookup__V1__LookupMetadata>?)
  ) {
    self.entity = entity
    self.method = method
    self.unpack = unpack
    self.write = write
    self.read = read
  }
}

extension ConfigLookupClient {
  /// Returns an answer from the near cache, or fetches it from a server.
  func cachedValue<Response, Value: Cacheable>(
    _ lookup: LookupCall<Response, Value>, _ key: CacheKey
  ) async throws -> Answer<Value> {
    guard let cache else { return try await ask(lookup).answer }
    // If a cached answer can be returned as a stale one, the fetch does not wait for a connection while all servers are
    // unreachable.
    let isPatient = !cache.holds(key)
    let known = try await cache.answer(for: key) { [self] in
      let reply = try await ask(lookup, isPatient: isPatient)
      guard reply.answer.value != nil else { return nil }
      return CachedValue(
        content: Value.cachedContent(reply.answer), revision: reply.answer.revision, byteCount: reply.byteCount)
    }
    guard let cachedValue = known.value, var answer = Value.answer(cachedValue.content) else {
      return Answer(value: nil, revision: 0, etag: "", observedRevision: 0, isStale: known.isStale)
    }
    if known.isStale { answer.isStale = true }
    return answer
  }

  /// Fetches an answer from a server. Errors that may be transient are retried until the timeout.
  func ask<Response, Value>(
    _ lookup: LookupCall<Response, Value>, isPatient: Bool = true
  ) async throws -> (answer: Answer<Value>, byteCount: Int) {
    let deadline = MonotonicTime.now.advanced(by: configuration.timeout)
    var backoff = Backoff(initial: .milliseconds(20), maximum: .milliseconds(500))
    var last = ConfigLookupError(code: .unavailable, message: "no connection to any server in time")
    while true {
      if !isPatient, supervisor.isFailing { throw last }
      let wait = backoff.next()
      if wait > .zero {
        guard deadline.duration(since: .now) > wait else { throw last }
        try await Task.sleep(for: wait)
      }
      let channel: FramedChannel
      do {
        channel = try await supervisor.channel(deadline: deadline)
      } catch let error as ConfigLookupError where error.code == .unavailable {
        throw last
      }
      do {
        let floor = position.floor(lookup.entity)
        let request = request(lookup, floor)
        let reply = try await channel.call(
          lookup.method, request, timeout: deadline.duration(since: .now), metadata: metadata)
        switch reply.status.code {
        case .ok, .notFound:
          let answer = try answer(lookup, reply)
          if lookup.isList, answer.observedRevision < floor.revision, floor.epoch == position.epoch {
            last = ConfigLookupError(
              code: .unavailable, message: "\(lookup.method): the server is behind the client's last revision")
            break
          }
          return (answer, reply.payload.count)
        case .unavailable, .resourceExhausted:
          last = ConfigLookupError(reply.status)
          supervisor.hop(from: channel)
        case .failedPrecondition:
          // The position belongs to another database.
          last = ConfigLookupError(reply.status)
          position.startAnew()
          cache?.clear()
        default: throw ConfigLookupError(reply.status)
        }
      } catch let error as RPCClientError {
        last = ConfigLookupError(code: .unavailable, message: "\(error)")
      }
      if deadline <= .now { throw last }
    }
  }

  private func request<Response, Value>(
    _ lookup: LookupCall<Response, Value>, _ floor: (revision: UInt64, epoch: String)
  ) -> [UInt8] {
    let arena = ProtobufArena()
    return withExtendedLifetime(arena) {
      let options = arena.make(configlookup__v1__lookup_options__init) {
        guard floor.revision > 0 else { return }
        $0.min_revision = floor.revision
        $0.epoch = arena.bytes(floor.epoch)
      }
      return lookup.write(options, arena)
    }
  }

  private func answer<Response, Value>(
    _ lookup: LookupCall<Response, Value>, _ reply: RPCClientReply
  ) throws -> Answer<Value> {
    if reply.status.code == .notFound {
      let observed = reply.metadata["configlookup-observed-revision"].flatMap { UInt64($0) } ?? 0
      show(lookup.entity, observed, reply.metadata["configlookup-epoch"] ?? "")
      return Answer(value: nil, revision: 0, etag: "", observedRevision: observed, isStale: false)
    }
    let answer = try? reply.payload.withUnsafeBytes { bytes in
      try ProtobufArena().withUnpacked(bytes, by: lookup.unpack, limit: .max) { message -> Answer<Value> in
        let (value, metadata) = lookup.read(message.pointee)
        let position = metadata?.pointee
        show(lookup.entity, position?.revision ?? 0, position?.epoch.string ?? "")
        return Answer(
          value: value, revision: position?.revision ?? 0, etag: position?.etag.string ?? "",
          observedRevision: position?.observed_revision ?? 0, isStale: position?.stale == 1)
      }
    }
    guard let answer else {
      throw ConfigLookupError(code: .failed, message: "\(lookup.method): the server's reply cannot be read")
    }
    return answer
  }

  private func show(_ entity: Entity, _ revision: UInt64, _ epoch: String) {
    if position.show(entity, revision, epoch: epoch) { cache?.clear() }
  }
}

extension ConfigLookupError {
  init(_ status: RPCStatus) {
    code =
      switch status.code {
      case .invalidArgument: .invalidArgument
      case .unavailable, .deadlineExceeded, .cancelled, .failedPrecondition: .unavailable
      case .unauthenticated, .permissionDenied: .notAllowed
      case .resourceExhausted: .limitReached
      default: .failed
      }
    message = "\(status)"
    guard let details = status.details else { return }
    fieldViolations = details.violations.map { FieldViolation(field: $0.field, problem: $0.problem) }
    retryDelay = details.retryDelay
    // A proxy may have errors, and reasons, of its own.
    guard details.domain == RPCErrorDetails.domain, !details.reason.isEmpty else { return }
    reason = details.reason
    metadata = details.metadata
  }
}
