// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupNetwork

/// The health of the caches at one moment, as HTTP shows it.
struct HealthReport: Sendable {
  /// The caches in the order in which they are shown, each with the reason why it is not ready, if there is one.
  let caches: [(name: String, health: CacheHealth, reason: String?)]
  let isDraining: Bool

  /// The reply of `/health/ready`: whether the server should get calls; if not, the reasons.
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

  /// The reply of `/health/cache`: an object per cache. Its status is always 200; the interpretation is the reader's.
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
      "cache_age_seconds": health.age.map { "\($0.seconds)" } ?? "null",
      "change_stream_active": "\(health.isStreamActive)",
      "cache_valid": "\(health.isValid)",
      "loaded_at": text(health.loadedAt?.iso8601),
      // A string, as for 64-bit integers in proto3's JSON mapping: in most JSON readers numbers are exact up to 2^53
      // only.
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
