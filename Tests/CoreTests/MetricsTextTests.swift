import Core
import Testing

struct MetricsTextTests {
  @Test func familiesAndSamplesAreAsPrometheusReadsThem() {
    var out = MetricsText()
    out.value("a_total", .counter, "How many.", 3 as UInt64)
    out.family("b", .gauge, "How much.")
    out.sample("b", ["x": "say \"hi\\\"\n", "y": "ä"], 1.5)
    out.sample("b", [:], nil as Double?)
    #expect(
      out.text == """
        # HELP a_total How many.
        # TYPE a_total counter
        a_total 3
        # HELP b How much.
        # TYPE b gauge
        b{x="say \\"hi\\\\\\"\\n",y="ä"} 1.5
        b NaN

        """)
  }
}
