internal import ChangeStreamCache
internal import Core
internal import LookupService
internal import Network

/// Everything that is counted or measured, as of one moment: what `/metrics` shows.
struct MetricsReport {
  struct Cache {
    /// The first part of the cache's keys, and of its metrics' names.
    let name: String
    let health: CacheHealth
    let figures: CacheFigures
  }

  let caches: [Cache]
  let subscribers: Int
  let connections: Int
  /// The sum over the loops.
  let network: (NetworkCounter) -> UInt64
  let isReady: Bool
  let process: ProcessFigures
  let now: WallTime

  var text: String {
    var out = MetricsText()
    for cache in caches { writeLookups(cache, to: &out) }
    writeCaches(to: &out)
    writeServer(to: &out)
    writeProcess(to: &out)
    return out.text
  }

  /// The metrics that have the cache's name in theirs.
  private func writeLookups(_ cache: Cache, to out: inout MetricsText) {
    let prefix = "\(cache.name)_cache"
    out.value(
      "\(prefix)_hits_total", .counter, "Lookups answered from a valid cache, NOT_FOUND too.", cache.figures.hits)
    out.value("\(prefix)_misses_total", .counter, "Lookups that found the cache not valid.", cache.figures.misses)
    out.family(
      "\(prefix)_invalidations_total", .counter, "Changes of answers that were announced, by why and by document.")
    for row in cache.figures.invalidations {
      out.sample("\(prefix)_invalidations_total", ["reason": row.reason, "item_id": row.itemID], row.count)
    }
    out.value(
      "\(prefix)_age_seconds", .gauge, "Seconds since the contents were last confirmed; NaN before the first load.",
      cache.health.ageSeconds)
    out.value("\(prefix)_size", .gauge, "Keys that have an answer.", UInt64(cache.health.size))
  }

  private func writeCaches(to out: inout MetricsText) {
    func family(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: (Cache) -> UInt64) {
      out.family(name, kind, help)
      for cache in caches { out.sample(name, ["cache": cache.name], value(cache)) }
    }
    func times(_ name: String, _ help: String, _ value: (Cache) -> Double?) {
      out.family(name, .gauge, help)
      for cache in caches { out.sample(name, ["cache": cache.name], value(cache)) }
    }
    family("config_lookup_cache_valid", .gauge, "1 if the contents were confirmed within the TTL.") {
      $0.health.isValid ? 1 : 0
    }
    family("config_lookup_change_stream_active", .gauge, "1 if the change stream carries on from what is served.") {
      $0.health.isStreamActive ? 1 : 0
    }
    family("config_lookup_change_stream_reconnects_total", .counter, "How often the change stream was lost.") {
      $0.health.reconnects
    }
    family("config_lookup_cache_reloads_total", .counter, "How often the whole collection was read.") {
      $0.health.reloads
    }
    family("config_lookup_cache_resyncs_total", .counter, "Reloads because history was lost.") { $0.health.resyncs }
    family("config_lookup_cache_drift_total", .counter, "Keys that a reload found changed behind the stream's back.") {
      $0.health.drift
    }
    family("config_lookup_rejected_documents", .gauge, "Documents that break a rule and are not served as they are.") {
      UInt64($0.health.rejectedCount)
    }
    times("config_lookup_observed_lag_seconds", "Seconds from the observed revision to now, in whole seconds.") {
      lag(of: $0.health.observedRevision)
    }
    family("config_lookup_replay_notices", .gauge, "Notices that a watch with a start can be given again.") {
      UInt64($0.figures.replayableNotices)
    }
    times("config_lookup_replay_window_seconds", "Seconds back to the earliest start that is replayed exactly.") {
      $0.figures.replayFloor.flatMap(lag)
    }
  }

  private func lag(of revision: Revision) -> Double? {
    guard revision > .none else { return nil }
    return max(0, Double(now.milliseconds / 1000 - Int64(revision.seconds)))
  }

  private func writeServer(to out: inout MetricsText) {
    out.value("config_lookup_ready", .gauge, "1 if calls should come here.", isReady ? 1 : UInt64(0))
    out.value("config_lookup_subscribers", .gauge, "Watches that are open.", UInt64(subscribers))
    out.value("config_lookup_connections", .gauge, "Connections that are open.", UInt64(connections))
    let counters: [(NetworkCounter, String, String)] = [
      (.connectionsAccepted, "connections_accepted", "Connections that were accepted."),
      (.connectionsClosed, "connections_closed", "Connections that have ended."),
      (.connectionsRefused, "connections_refused", "Connections turned away because there were too many."),
      (.connectionsStalled, "connections_stalled", "Connections cut because the peer did not take its bytes."),
      (.bytesReceived, "received_bytes", "Bytes read from connections."),
      (.bytesSent, "sent_bytes", "Bytes written to connections."),
    ]
    for (counter, name, help) in counters {
      out.value("config_lookup_\(name)_total", .counter, help, network(counter))
    }
  }

  private func writeProcess(to out: inout MetricsText) {
    out.value("process_cpu_seconds_total", .counter, "Seconds of processor time, user and system.", process.cpuSeconds)
    out.value("process_resident_memory_bytes", .gauge, "Bytes of memory in use.", process.residentBytes)
    out.value("process_open_fds", .gauge, "File descriptors that are open.", process.openDescriptors)
    out.value("process_max_fds", .gauge, "File descriptors that may be open.", process.maximumDescriptors)
    out.value("process_start_time_seconds", .gauge, "When the process started, in Unix time.", process.startSeconds)
    out.family("config_lookup_build_info", .gauge, "1, with the version that runs.")
    out.sample("config_lookup_build_info", ["version": serverVersion], 1 as UInt64)
  }
}
