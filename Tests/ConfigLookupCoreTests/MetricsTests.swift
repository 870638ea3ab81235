// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import Testing

struct MetricsTests {
  @Test func familiesAndPointsAreAsPrometheusReadsThem() {
    var metrics = Metrics()
    metrics.value("a_total", .counter, "How many.", .integer(3))
    metrics.family("b", .gauge, "How much.")
    metrics.point(["x": "say \"hi\\\"\n", "y": "ä"], .number(1.5))
    metrics.point([:], .number(orNone: nil))
    metrics.family("c_seconds", .histogram, "How long.")
    metrics.point(["x": "y"], .histogram(.init(bounds: [0.5, 1], counts: [1, 0, 2], sum: 7)))
    #expect(
      metrics.text == """
        # HELP a_total How many.
        # TYPE a_total counter
        a_total 3
        # HELP b How much.
        # TYPE b gauge
        b{x="say \\"hi\\\\\\"\\n",y="ä"} 1.5
        b NaN
        # HELP c_seconds How long.
        # TYPE c_seconds histogram
        c_seconds_bucket{x="y",le="0.5"} 1
        c_seconds_bucket{x="y",le="1.0"} 1
        c_seconds_bucket{x="y",le="+Inf"} 3
        c_seconds_sum{x="y"} 7.0
        c_seconds_count{x="y"} 3

        """)
  }

  /// Characters that a terminal interprets, and characters that change the direction of text.
  @Test func noRawControlCharacterIsInTheText() {
    var metrics = Metrics()
    metrics.family("a", .gauge, "How much.")
    metrics.point(["x": "a\u{1b}[2J\r\n\u{9b}\u{202e}\0\tb\nc\\"], .integer(1))
    let line = metrics.text.split(separator: "\n").last
    #expect(line == #"a{x="a\\u001b[2J\\r\\n\\u009b\\u202e\\u0000\\tb\nc\\"} 1"#, "\(line ?? "")")
  }

  @Test func everyDurationIsInItsBucket() {
    let bounds = DurationBuckets.shared.nanoseconds
    #expect(bounds.first == 1000 && bounds.last == 10_000_000_000 && bounds == bounds.sorted())
    for (index, bound) in bounds.enumerated() {
      #expect(DurationBuckets.shared.index(of: bound) == index)
      #expect(DurationBuckets.shared.index(of: bound + 1) == index + 1)
    }
    #expect(DurationBuckets.shared.index(of: 0) == 0 && DurationBuckets.shared.index(of: .max) == bounds.count)
  }
}
