// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import LookupService

/// All counters and gauges, as of one moment. `docs/guides/operate.md` describes each of them.
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
      "\(prefix)_hits_total", .counter, "Total number of lookups answered from a valid cache, including NOT_FOUND.",
      .integer(cache.figures.hits))
    out.value(
      "\(prefix)_misses_total", .counter, "Total number of lookups that found the cache not valid.",
      .integer(cache.figures.misses))
    out.family(
      "\(prefix)_invalidations_total", .counter,
      "Total number of changed answers announced to watches, by reason and document.")
    for row in cache.figures.invalidations {
      out.point(["reason": row.reason, "item_id": row.itemID], .integer(row.count))
    }
    out.value(
      "\(prefix)_age_seconds", .gauge,
      "Time since the contents were last verified, in seconds; NaN before the first load.",
      .number(orNone: cache.health.age?.seconds))
    out.value("\(prefix)_size", .gauge, "Current number of keys that have an answer.", .count(cache.health.size))
  }

  private func addCaches(to out: inout Metrics) {
    func family(_ name: String, _ kind: Metrics.Kind, _ help: String, _ value: (Cache) -> Metrics.Value) {
      out.family("config_lookup_\(name)", kind, help)
      for cache in caches { out.point(["cache": cache.name], value(cache)) }
    }
    family("cache_valid", .gauge, "Whether the contents were verified within the TTL: 1 or 0.") {
      .flag($0.health.isValid)
    }
    family("cache_bytes", .gauge, "Current number of bytes of encoded documents in memory.") {
      .count($0.health.byteCount)
    }
    family("change_stream_active", .gauge, "Whether the change stream continues from the served contents: 1 or 0.") {
      .flag($0.health.isStreamActive)
    }
    family("change_stream_reconnects_total", .counter, "Total number of times the change stream was lost.") {
      .integer($0.health.reconnects)
    }
    family("cache_reloads_total", .counter, "Total number of reads of the whole collection.") {
      .integer($0.health.reloads)
    }
    family("cache_reload_duration_seconds", .gauge, "Duration of the last reload in seconds; NaN before the first.") {
      .number(orNone: $0.health.reloadDuration?.seconds)
    }
    family("cache_resyncs_total", .counter, "Total number of reloads because the change history was lost.") {
      .integer($0.health.resyncs)
    }
    family(
      "cache_drift_total", .counter,
      "Total number of keys whose value differed after a reload, without a change event (drift)."
    ) {
      .integer($0.health.drift)
    }
    family("conflicting_keys", .gauge, "Current number of keys claimed by several documents where only one is allowed.")
    {
      .count($0.health.conflictCount)
    }
    family(
      "rejected_documents", .gauge, "Current number of documents that break a rule and are not served as they are."
    ) {
      .count($0.health.rejectedCount)
    }
    family("observed_lag_seconds", .gauge, "Time since the observed revision, in whole seconds.") {
      .number(orNone: lag(of: $0.health.observedRevision)?.seconds)
    }
    family(
      "majority_lag_seconds", .gauge,
      "Time by which the position of the change stream is behind the time of the database, in whole seconds."
    ) {
      .number($0.health.majorityLag.seconds)
    }
    family("replay_notices", .gauge, "Current number of notices in the replay buffer, for watches that resume.") {
      .count($0.figures.replayableNotices)
    }
    family("replay_window_seconds", .gauge, "Time since the earliest revision at which a watch can resume, in seconds.")
    {
      .number(orNone: $0.figures.replayFloor.flatMap(lag)?.seconds)
    }
  }

  private func lag(of revision: Revision) -> Duration? {
    guard revision > .none else { return nil }
    return .seconds(max(0, now.milliseconds / 1000 - Int64(revision.seconds)))
  }

  private func addCalls(to out: inout Metrics) {
    out.family(
      "config_lookup_rpc_duration_seconds", .histogram,
      "Duration of ended calls in seconds, from their arrival until the reply was handed to the operating system.")
    for transport in transports {
      for calls in transport.calls {
        out.point(
          ["protocol": transport.name, "method": calls.method, "status": calls.status.name],
          .histogram(calls.durations.histogram))
      }
    }
    out.family(
      "config_lookup_open_streams", .gauge,
      "Current number of open calls that were not answered at once: watches and waiting lookups."
    )
    for transport in transports { out.point(["protocol": transport.name], .integer(transport.openStreams)) }
    out.value(
      "config_lookup_loop_turn_duration_seconds", .histogram,
      "Duration of event-loop iterations in seconds: an event may have waited this long.",
      .histogram(group.iterationDurations.histogram))
  }

  private func addWatches(to out: inout Metrics) {
    out.value("config_lookup_subscribers", .gauge, "Current number of open watches.", .count(watches.subscribers))
    out.value(
      "config_lookup_health_watches", .gauge, "Current number of open health watches.", .count(healthWatches))
    out.value(
      "config_lookup_watch_queued_keys", .gauge, "Current number of changed keys queued for slow watches, in total.",
      .count(watches.queuedKeys))
    out.value(
      "config_lookup_waiting_calls", .gauge, "Current number of lookups that wait for their min_revision.",
      .count(watches.waitingCalls))
    out.value(
      "config_lookup_watch_notices_total", .counter, "Total number of notices sent to watches, of every kind.",
      .integer(watches.notices))
    out.value(
      "config_lookup_watch_resyncs_total", .counter,
      "Total number of RESYNC notices sent: the subscriber has to look up everything again.",
      .integer(watches.resyncs))
  }

  private func addConnections(to out: inout Metrics) {
    out.value("config_lookup_ready", .gauge, "Whether the server is ready for calls: 1 or 0.", .flag(isReady))
    out.value("config_lookup_connections", .gauge, "Current number of open connections.", .count(connections))
    out.value(
      "config_lookup_buffered_bytes", .gauge,
      "Current number of bytes held for clients: connections, open calls and buffered replies.",
      .count(group.buffers.byteCount))
    let counters: [(NetworkCounter, String, String)] = [
      (.connectionsAccepted, "connections_accepted", "Total number of accepted connections."),
      (.connectionsClosed, "connections_closed", "Total number of closed connections."),
      (.connectionsRefused, "connections_refused", "Total number of connections rejected because too many were open."),
      (
        .connectionsStalled, "connections_stalled",
        "Total number of connections closed because the peer did not read its bytes."
      ),
      (.bytesReceived, "received_bytes", "Total number of bytes received on connections."),
      (.bytesSent, "sent_bytes", "Total number of bytes sent on connections."),
      (.handshakes, "tls_handshakes", "Total number of completed TLS handshakes."),
      (.tlsToPlainPort, "tls_to_plain_port", "Total number of connections that sent TLS to a cleartext port."),
    ]
    for (counter, name, help) in counters {
      out.value("config_lookup_\(name)_total", .counter, help, .integer(group.counter(counter)))
    }
    out.family(
      "config_lookup_limits_reached_total", .counter,
      "Total number of calls or connections rejected, closed or resynchronized because of a server limit.")
    for limit in ServerLimit.allCases { out.point(["limit": limit.rawValue], .integer(limits(limit))) }
    out.family(
      "config_lookup_tls_handshake_failures_total", .counter, "Total number of failed TLS handshakes, by reason.")
    for reason in TLSFailure.Reason.allCases {
      out.point(["reason": reason.rawValue], .integer(group.handshakeFailures(reason)))
    }
    out.family(
      "config_lookup_connections_ended_total", .counter,
      "Total number of connections closed because of what the peer did, by reason.")
    for transport in transports {
      for (reason, count) in transport.endedConnections {
        out.point(["protocol": transport.name, "reason": reason], .integer(count))
      }
    }
  }

  private func addRefusals(to out: inout Metrics) {
    out.family(
      "config_lookup_grpc_rejected_requests_total", .counter,
      "Total number of HTTP/2 requests that were not gRPC calls, by reason.")
    for (reason, count) in transports.flatMap(\.rejectedRequests) { out.point(["reason": reason], .integer(count)) }
    out.family(
      "config_lookup_calls_refused_total", .counter,
      "Total number of calls refused for lack of a credential or a permission, by reason.")
    for refusal in RPCRefusal.allCases { out.point(["reason": refusal.rawValue], .integer(refusals(refusal))) }
    out.family(
      "config_lookup_http_requests_refused_total", .counter,
      "Total number of HTTP requests refused for their Host, origin or content type, by reason.")
    for refusal in HTTPRequestGuard.Refusal.allCases {
      out.point(["reason": refusal.rawValue], .integer(httpRefusals(refusal)))
    }
  }

  private func addProcess(to out: inout Metrics) {
    out.value(
      "config_lookup_log_lines_suppressed_total", .counter,
      "Total number of log lines suppressed by rate limiting.",
      .integer(RateLimitedLogger.suppressedLines))
    out.value(
      "config_lookup_files_not_reloaded", .gauge,
      "Current number of groups of files (TLS, credentials) whose last reload failed; older contents are in force.",
      .count(unreadFiles))
    out.value(
      "process_cpu_seconds_total", .counter, "Total user and system CPU time spent in seconds.",
      .number(process.cpuTime.seconds))
    out.value(
      "process_resident_memory_bytes", .gauge, "Resident memory size in bytes.", .integer(process.residentBytes))
    out.value("process_open_fds", .gauge, "Number of open file descriptors.", .integer(process.openDescriptors))
    out.value(
      "process_max_fds", .gauge, "Maximum number of open file descriptors.", .integer(process.maximumDescriptors))
    out.value(
      "process_start_time_seconds", .gauge, "Start time of the process since unix epoch in seconds.",
      .number(Double(ProcessFigures.start.milliseconds) / 1000))
    out.family(
      "config_lookup_build_info", .gauge, "A metric with a constant '1' value, labeled by the version of the server.")
    out.point(["version": serverVersion], .integer(1))
  }
}
