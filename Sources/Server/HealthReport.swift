internal import ChangeStreamCache
internal import Core
internal import Network

/// How the caches are doing at one moment, as HTTP tells it.
struct HealthReport: Sendable {
  /// By name, in the order in which they are shown, with the reason why they are not ready, if they are not.
  let caches: [(name: String, health: CacheHealth, reason: String?)]
  let isDraining: Bool

  /// `/health/ready`: whether calls should come here; if not, why.
  var ready: OperationsReply {
    var reasons = isDraining ? ["{\"reason\":\"draining\"}"] : []
    for (name, health, reason) in caches {
      guard let reason else { continue }
      reasons.append(
        "{\"cache\":\(quoted(name)),\"reason\":\(quoted(reason)),\"source_error\":\(text(health.sourceError))}")
    }
    if reasons.isEmpty { return .json("{\"status\":\"ready\"}") }
    return .json("{\"status\":\"not_ready\",\"reasons\":[\(reasons.joined(separator: ","))]}", status: 503)
  }

  /// `/health/cache`: an object per cache. Always 200: what it means is for the reader to say.
  var detail: OperationsReply {
    .json("{" + caches.map { "\(quoted($0.name)):\(object($0.health))" }.joined(separator: ",") + "}")
  }

  private func object(_ health: CacheHealth) -> String {
    let rejected = health.rejected.map {
      "{\"item_id\":\(quoted($0.itemID)),\"field\":\(quoted($0.field)),\"problem\":\(quoted($0.problem))}"
    }
    let conflicts = health.conflicts.map {
      "{\"cache_key\":\(quoted($0.cacheKey)),\"wins\":\(quoted($0.wins)),\"loses\":\(quoted($0.loses))}"
    }
    let fields: KeyValuePairs<String, String> = [
      "cache_size": "\(health.size)",
      "cache_age_seconds": health.ageSeconds.map { "\($0)" } ?? "null",
      "change_stream_active": "\(health.isStreamActive)",
      "cache_valid": "\(health.isValid)",
      "loaded_at": text(health.loadedAt?.iso8601),
      // A string, as 64 bits are in proto3's JSON: most readers' numbers end at 2^53.
      "observed_revision": quoted("\(health.observedRevision)"),
      "last_change_at": text(health.lastChangeAt?.iso8601),
      "reconnects": "\(health.reconnects)",
      "resyncs": "\(health.resyncs)",
      "drift": "\(health.drift)",
      "rejected": "[\(rejected.joined(separator: ","))]",
      "rejected_count": "\(health.rejectedCount)",
      "conflicts": "[\(conflicts.joined(separator: ","))]",
      "conflict_count": "\(health.conflictCount)",
      "source_error": text(health.sourceError),
    ]
    return "{" + fields.map { "\(quoted($0.key)):\($0.value)" }.joined(separator: ",") + "}"
  }

  private func text(_ value: String?) -> String {
    value.map(quoted) ?? "null"
  }
}
