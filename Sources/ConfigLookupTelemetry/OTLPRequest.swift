// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ProtobufMessages

/// An `ExportMetricsServiceRequest`. It is encoded field by field, because it needs only a dozen fields of
/// opentelemetry-proto 1.
///
/// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto
struct OTLPRequest {
  let resource: [OTLPSettings.Pair]
  let version: String
  let startNanoseconds: UInt64
  let nowNanoseconds: UInt64

  /// `AggregationTemporality`: all figures are cumulative from the start on, so a lost export loses nothing.
  private static let cumulative: UInt64 = 2

  func encoded(_ metrics: Metrics) -> [UInt8] {
    var out: [UInt8] = []
    ProtobufWriter.message(1, to: &out) { out in  // ResourceMetrics
      ProtobufWriter.message(1, to: &out) { out in
        for pair in resource { writeAttribute(1, pair.name, pair.value, to: &out) }
        writeAttribute(1, "service.version", version, to: &out)
      }
      ProtobufWriter.message(2, to: &out) { out in  // ScopeMetrics
        ProtobufWriter.message(1, to: &out) { out in
          ProtobufWriter.string(1, "config-lookup", to: &out)
          ProtobufWriter.string(2, version, to: &out)
        }
        for family in metrics.families { write(family, to: &out) }
      }
    }
    return out
  }

  /// Writes a `Metric`. It has the same name as in Prometheus, so that the same queries work for both.
  private func write(_ family: Metrics.Family, to out: inout [UInt8]) {
    ProtobufWriter.message(2, to: &out) { out in
      ProtobufWriter.string(1, family.name, to: &out)
      ProtobufWriter.string(2, family.help, to: &out)
      ProtobufWriter.string(3, unit(of: family.name), to: &out)
      let field: UInt32 =
        switch family.kind {
        case .gauge: 5
        case .counter: 7
        case .histogram: 9
        }
      ProtobufWriter.message(field, to: &out) { out in
        for point in family.points where !point.isMissing {
          ProtobufWriter.message(1, to: &out) { write(point, to: &$0) }
        }
        guard family.kind != .gauge else { return }
        ProtobufWriter.unsigned(2, Self.cumulative, to: &out)
        if family.kind == .counter { ProtobufWriter.bool(3, true, to: &out) }  // is_monotonic
      }
    }
  }

  /// Writes a `NumberDataPoint` or a `HistogramDataPoint`.
  private func write(_ point: Metrics.Point, to out: inout [UInt8]) {
    ProtobufWriter.fixed64(2, startNanoseconds, to: &out)
    ProtobufWriter.fixed64(3, nowNanoseconds, to: &out)
    switch point.value {
    case .integer(let value):
      ProtobufWriter.presentFixed64(6, value, to: &out)
      writeAttributes(7, point, to: &out)
    case .number(let value):
      ProtobufWriter.presentFixed64(4, value.bitPattern, to: &out)
      writeAttributes(7, point, to: &out)
    case .histogram(let histogram):
      ProtobufWriter.fixed64(4, histogram.count, to: &out)
      ProtobufWriter.presentFixed64(5, histogram.sum.bitPattern, to: &out)
      ProtobufWriter.packedFixed64(6, histogram.counts, to: &out)
      ProtobufWriter.packedFixed64(7, histogram.bounds.map(\.bitPattern), to: &out)
      writeAttributes(9, point, to: &out)
    }
  }

  private func writeAttributes(_ field: UInt32, _ point: Metrics.Point, to out: inout [UInt8]) {
    for label in point.labels { writeAttribute(field, label.name, label.value, to: &out) }
  }

  /// Writes a `KeyValue` with a string.
  private func writeAttribute(_ field: UInt32, _ name: String, _ value: String, to out: inout [UInt8]) {
    ProtobufWriter.message(field, to: &out) { out in
      ProtobufWriter.string(1, name, to: &out)
      ProtobufWriter.message(2, to: &out) { out in
        ProtobufWriter.lengthPrefix(1, value.utf8.count, to: &out)
        out.append(contentsOf: value.utf8)
      }
    }
  }

  /// The unit by UCUM, derived from the name.
  private func unit(of name: String) -> String {
    let base = name.hasSuffix("_total") ? name.dropLast("_total".count) : name[...]
    if base.hasSuffix("_seconds") { return "s" }
    return base.hasSuffix("_bytes") ? "By" : ""
  }
}

extension Metrics.Point {
  /// Whether the value is not a number. Prometheus has such a value; OpenTelemetry has none, so the point is left out.
  fileprivate var isMissing: Bool {
    if case .number(let value) = value { return value.isNaN }
    return false
  }
}
