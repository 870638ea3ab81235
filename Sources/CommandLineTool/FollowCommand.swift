// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupClient
internal import ConfigLookupCore
internal import ProtobufMessages

/// `watch --follow`: uses the client library, which reconnects and resumes where the connection was lost.
func runFollow(_ options: ToolOptions) throws -> Int32 {
  try options.checkSelectors()
  guard !options.isGRPC, !options.values, !options.initial, options.interval == nil else {
    throw UsageError("watch --follow: not with --grpc, --values, --initial or --interval-ms")
  }
  // For its error messages, which name the flag.
  _ = try options.tls.context()
  let client: ConfigLookupClient
  do {
    client = try ConfigLookupClient(options.clientConfiguration())
  } catch let error as ConfigLookupError {
    throw UsageError(error.message)
  }
  defer { client.close() }
  let outcome = Locked<Result<Int32, any Error>?>(nil)
  let work = Task {
    let result: Result<Int32, any Error>
    do {
      result = .success(try await follow(client, options))
    } catch {
      result = .failure(error)
    }
    outcome.withLock { $0 = result }
    outcome.signal()
  }
  defer { work.cancel() }
  while true {
    // This blocks the main thread, which the library does not use.
    guard let result = outcome.wait(until: .now.advanced(by: .seconds(3600)), { $0 }) else { continue }
    do {
      return try result.get()
    } catch let error as ConfigLookupError {
      throw ToolFailure(
        status: error.code == .notAllowed ? ExitStatus.notPermitted : ExitStatus.unavailable, message: error.message)
    }
  }
}

private func follow(_ client: ConfigLookupClient, _ options: ToolOptions) async throws -> Int32 {
  // Subscribes before anything is sent, so that no notice is missed.
  let notices = client.invalidations()
  let report = Task { await reportConnection(of: client, options) }
  defer { report.cancel() }
  try await client.ready(timeout: options.timeout)
  var changes = 0
  for await notice in notices where options.wants(notice) {
    if notice.kind == .upsert || notice.kind == .delete { changes += 1 }
    try printNotice(notice, options)
    if let count = options.count, changes >= count { return ExitStatus.success }
  }
  throw ToolFailure(status: ExitStatus.unavailable, message: "the stream of notices ended")
}

/// Prints on standard error when the connection is lost, and when there is one again.
private func reportConnection(of client: ConfigLookupClient, _ options: ToolOptions) async {
  let addresses = ([options.server] + options.otherServers).map { "\($0)" }.joined(separator: " or ")
  // No message where a connection is made within this time.
  try? await Task.sleep(for: .milliseconds(500))
  var isWaiting = false
  for await state in client.states() {
    switch state {
    case .ready:
      if isWaiting { printError("connected") }
      isWaiting = false
    case .notReady where !isWaiting:
      printError("no connection to \(addresses) yet: waiting")
      isWaiting = true
    case .stale where !isWaiting, .error where !isWaiting:
      printError("the connection is lost: waiting for \(addresses), to resume where it ended")
      isWaiting = true
    case .notReady, .stale, .error: break
    }
  }
}

private func printNotice(_ notice: Notice, _ options: ToolOptions) throws {
  let arena = ProtobufArena()
  let message = arena.make(configlookup__v1__invalidation_notice__init) { message in
    message.kind =
      switch notice.kind {
      case .upsert: CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT
      case .delete: CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_DELETE
      case .resync: CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_RESYNC
      case .progress: CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_PROGRESS
      }
    message.entity = Configlookup__V1__Entity(rawValue: notice.entity?.rawValue ?? 0)
    message.key = arena.bytes(notice.key)
    message.cache_key = arena.bytes(notice.cacheKey)
    message.revision = notice.revision
    message.item_id = arena.bytes(notice.itemID)
    message.reason = arena.bytes(notice.reason)
    message.selector = arena.bytes(notice.selector)
    message.etag = arena.bytes(notice.etag)
    message.previous_etag = arena.bytes(notice.previousETag)
  }
  if try !options.printStructured(UnsafePointer(message)) { try printLine(line(message.pointee)) }
}

extension ToolOptions {
  fileprivate func clientConfiguration() throws -> ClientConfiguration {
    var configuration = ClientConfiguration(addresses: ([server] + otherServers).map { "\($0)" })
    if tls.isWanted {
      configuration.tls = ClientConfiguration.TLS(
        authorities: tls.authorities, certificate: tls.certificate, key: tls.key, serverName: tls.serverName)
    }
    configuration.token = try bearerToken()
    configuration.connectTimeout = timeout
    // The command makes no lookups.
    configuration.nearCache = nil
    return configuration
  }

  /// Whether the notice matches the filters of the command line. Notices about no key match all.
  fileprivate func wants(_ notice: Notice) -> Bool {
    if let entity = notice.entity, !entities.isEmpty,
      !entities.contains(where: { entityNumbers[$0] == entity.rawValue })
    {
      return false
    }
    guard notice.kind == .upsert || notice.kind == .delete else { return true }
    if !selectors.isEmpty, !selectors.contains(notice.selector) { return false }
    if keys.isEmpty, prefixes.isEmpty { return true }
    return keys.contains(notice.key) || prefixes.contains { notice.key.utf8.starts(with: $0.utf8) }
  }
}
