internal import ChangeStreamCache
internal import Core
internal import LookupService
internal import Network
internal import RPC
internal import TLS

/// All counters and gauges, as of one moment. `docs/operations.md` describes each of them.
struct MetricsReport {
  struct Cache {
    /// The name of the entity: the first part of the cache's keys and of its metrics' names.
    let name: String
    let health: CacheHealth
    let figures: CacheFigures
  }

  let caches: [Cache]
  let watches: WatchFigures
  let transports: [TransportFigures]
  let group: EventLoopGroup
  let connections: Int
  /// The number of open health watches.
  let healthWatches: Int
  /// Returns how often each limit was reached.
  let limits: (ServerLimit) -> UInt64
  /// Returns how many calls were rejected for a reason.
  let refusals: (RPCRefusal) -> UInt64
  /// Returns how many HTTP requests were rejected before routing, for a reason.
  let httpRefusals: (HTTPRequestGuard.Refusal) -> UInt64
  /// The number of groups of files whose last reload failed.
  let unreadFiles: Int
  let isReady: Bool
  let process: ProcessFigures
  let now: WallTime

  var metrics: Metrics {
    var out = Metrics()
    for cache in caches { addLookups(cache, to: &out) }
    addCaches(to: &out)
    addCalls(to: &out)
    addRefusals(to: &out)
    addWatches(to: &out)
    addConnections(to: &out)
    addProcess(to: &out)
    return out
  }

  /// The metrics whose names contain the cache's name.
  private func addLookups(_ cache: Cache, to out: inout Metrics) {
    let prefix = "\(cache.name)_cache"
    out.value(
      "\(prefix)_hits_total", .counter, "Lookups answered from a valid cache, NOT_FOUND too.",
      .integer(cache.figures.hits))
    out.value(
      "\(prefix)_misses_total", .counter, "Lookups that found the cache not valid.", .integer(cache.figures.misses))
    out.family(
      "\(prefix)_invalidations_total", .counter, "Changes of answers that were announced, by why and by document.")
    for row in cache.figures.invalidations {
      out.point(["reason": row.reason, "item_id": row.itemID], .integer(row.count))
    }
    out.value(
      "\(prefix)_age_seconds", .gauge, "Seconds since the contents were last confirmed; NaN before the first load.",
      .number(orNone: cache.health.ageSeconds))
    out.value("\(prefix)_size", .gauge, "Keys that have an answer.", .count(cache.health.size))
  }

  private func addCaches(to out: inout Metrics) {
    func family(_ name: String, _ kind: Metrics.Kind, _ help: String, _ value: (Cache) -> Metrics.Value) {
      out.family("config_lookup_\(name)", kind, help)
      for cache in caches { out.point(["cache": cache.name], value(cache)) }
    }
    family("cache_valid", .gauge, "1 if the contents were confirmed within the TTL.") { .flag($0.health.isValid) }
    family("cache_bytes", .gauge, "Bytes of the encoded documents that are held.") { .count($0.health.byteCount) }
    family("change_stream_active", .gauge, "1 if the change stream carries on from what is served.") {
      .flag($0.health.isStreamActive)
    }
    family("change_stream_reconnects_total", .counter, "How often the change stream was lost.") {
      .integer($0.health.reconnects)
    }
    family("cache_reloads_total", .counter, "How often the whole collection was read.") { .integer($0.health.reloads) }
    family("cache_reload_duration_seconds", .gauge, "How long the last reload took; NaN before the first.") {
      .number(orNone: $0.health.reloadSeconds)
    }
    family("cache_resyncs_total", .counter, "Reloads because history was lost.") { .integer($0.health.resyncs) }
    family("cache_drift_total", .counter, "Keys that a reload found changed behind the stream's back.") {
      .integer($0.health.drift)
    }
    family("conflicting_keys", .gauge, "Current number of keys claimed by several documents where one is the rule.") {
      .count($0.health.conflictCount)
    }
    family("rejected_documents", .gauge, "Documents that break a rule and are not served as they are.") {
      .count($0.health.rejectedCount)
    }
    family("observed_lag_seconds", .gauge, "Seconds from the observed revision to now, in whole seconds.") {
      .number(orNone: lag(of: $0.health.observedRevision))
    }
    family("replay_notices", .gauge, "Notices that a watch with a start can be given again.") {
      .count($0.figures.replayableNotices)
    }
    family("replay_window_seconds", .gauge, "Seconds back to the earliest start that is replayed exactly.") {
      .number(orNone: $0.figures.replayFloor.flatMap(lag))
    }
  }

  private func lag(of revision: Revision) -> Double? {
    guard revision > .none else { return nil }
    return max(0, Double(now.milliseconds / 1000 - Int64(revision.seconds)))
  }

  private func addCalls(to out: inout Metrics) {
    out.family(
      "config_lookup_rpc_duration_seconds", .histogram,
      "Calls that have ended, and how long they took from their arrival until the reply was handed to the system.")
    for transport in transports {
      for calls in transport.calls {
        out.point(
          ["protocol": transport.name, "method": calls.method, "status": calls.status.name],
          .histogram(calls.durations.histogram))
      }
    }
    out.family(
      "config_lookup_open_streams", .gauge, "Open calls that could not be answered at once: watches, lookups that wait."
    )
    for transport in transports { out.point(["protocol": transport.name], .integer(transport.openStreams)) }
    out.value(
      "config_lookup_loop_turn_duration_seconds", .histogram,
      "Turns of the event loops, and how long they took: so long an event may have waited.",
      .histogram(group.turnDurations.histogram))
  }

  private func addWatches(to out: inout Metrics) {
    out.value("config_lookup_subscribers", .gauge, "Watches that are open.", .count(watches.subscribers))
    out.value(
      "config_lookup_health_watches", .gauge, "Current number of open health watches.", .count(healthWatches))
    out.value(
      "config_lookup_watch_queued_keys", .gauge, "Changed keys that wait for slow subscribers, added up.",
      .count(watches.queuedKeys))
    out.value(
      "config_lookup_waiting_calls", .gauge, "Current number of lookups that wait for their min_revision.",
      .count(watches.waitingCalls))
    out.value(
      "config_lookup_watch_notices_total", .counter, "Notices sent, of every kind.", .integer(watches.notices))
    out.value(
      "config_lookup_watch_resyncs_total", .counter, "RESYNCs sent: a subscriber had to look everything up again.",
      .integer(watches.resyncs))
  }

  private func addConnections(to out: inout Metrics) {
    out.value("config_lookup_ready", .gauge, "1 if calls should come here.", .flag(isReady))
    out.value("config_lookup_connections", .gauge, "Connections that are open.", .count(connections))
    out.value(
      "config_lookup_buffered_bytes", .gauge,
      "Current number of bytes that clients make the server hold: connections, open calls and what waits for them.",
      .count(group.buffers.byteCount))
    let counters: [(NetworkCounter, String, String)] = [
      (.connectionsAccepted, "connections_accepted", "Connections that were accepted."),
      (.connectionsClosed, "connections_closed", "Connections that have ended."),
      (.connectionsRefused, "connections_refused", "Connections turned away because there were too many."),
      (.connectionsStalled, "connections_stalled", "Connections cut because the peer did not take its bytes."),
      (.bytesReceived, "received_bytes", "Bytes read from connections."),
      (.bytesSent, "sent_bytes", "Bytes written to connections."),
      (.handshakes, "tls_handshakes", "TLS handshakes that came to a good end."),
      (.tlsToPlainPort, "tls_to_plain_port", "Connections that spoke TLS to a port that does not."),
    ]
    for (counter, name, help) in counters {
      out.value("config_lookup_\(name)_total", .counter, help, .integer(group.counter(counter)))
    }
    out.family(
      "config_lookup_limits_reached_total", .counter,
      "How often callers reached a limit, and felt it: docs/security.md.")
    for limit in ServerLimit.allCases { out.point(["limit": limit.rawValue], .integer(limits(limit))) }
    out.family("config_lookup_tls_handshake_failures_total", .counter, "TLS handshakes that came to nothing, by why.")
    for reason in TLSFailure.Reason.allCases {
      out.point(["reason": reason.rawValue], .integer(group.handshakeFailures(reason)))
    }
    out.family(
      "config_lookup_connections_ended_total", .counter, "Connections that were ended for what the peer did, by why.")
    for transport in transports {
      for (reason, count) in transport.endedConnections {
        out.point(["protocol": transport.name, "reason": reason], .integer(count))
      }
    }
  }

  private func addRefusals(to out: inout Metrics) {
    out.family(
      "config_lookup_grpc_rejected_requests_total", .counter,
      "Total number of HTTP/2 requests that were no gRPC calls, by reason.")
    for (reason, count) in transports.flatMap(\.rejectedRequests) { out.point(["reason": reason], .integer(count)) }
    out.family("config_lookup_calls_refused_total", .counter, "Calls without the credential or the right for them.")
    for refusal in RPCRefusal.allCases { out.point(["reason": refusal.rawValue], .integer(refusals(refusal))) }
    out.family(
      "config_lookup_http_requests_refused_total", .counter,
      "Total number of HTTP requests refused for their Host, their origin or their content type.")
    for refusal in HTTPRequestGuard.Refusal.allCases {
      out.point(["reason": refusal.rawValue], .integer(httpRefusals(refusal)))
    }
  }

  private func addProcess(to out: inout Metrics) {
    out.value(
      "config_lookup_log_lines_suppressed_total", .counter,
      "Total number of log lines left out because their reason had used up its lines.",
      .integer(RateLimitedLogger.suppressedLines))
    out.value(
      "config_lookup_files_not_reloaded", .gauge,
      "Current number of groups of files (TLS, credentials) that could not be read again: older contents are in force.",
      .count(unreadFiles))
    out.value(
      "process_cpu_seconds_total", .counter, "Seconds of processor time, user and system.", .number(process.cpuSeconds))
    out.value(
      "process_resident_memory_bytes", .gauge, "Bytes of memory in use.", .integer(process.residentBytes))
    out.value("process_open_fds", .gauge, "File descriptors that are open.", .integer(process.openDescriptors))
    out.value("process_max_fds", .gauge, "File descriptors that may be open.", .integer(process.maximumDescriptors))
    out.value(
      "process_start_time_seconds", .gauge, "When the process started, in Unix time.", .number(process.startSeconds))
    out.family("config_lookup_build_info", .gauge, "1, with the version that runs.")
    out.point(["version": serverVersion], .integer(1))
  }
}
