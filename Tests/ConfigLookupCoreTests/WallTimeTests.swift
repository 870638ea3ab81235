// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Testing

@Suite struct WallTimeTests {
  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (1_767_954_030_045, "2026-01-09T10:20:30.045Z"),
      (1_709_164_800_000, "2024-02-29T00:00:00.000Z"), (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ] as [(Int64, String)])
  func isWrittenAsISO8601(milliseconds: Int64, text: String) {
    #expect(WallTime(milliseconds: milliseconds).iso8601 == text)
  }
}
