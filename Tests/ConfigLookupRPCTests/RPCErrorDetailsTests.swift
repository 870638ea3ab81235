// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import Foundation
import TestSupport
import Testing

struct RPCErrorDetailsTests {
  private func encoded(_ details: RPCErrorDetails, field: UInt32 = 3) -> [UInt8] {
    var out: [UInt8] = []
    details.encode(field: field, to: &out)
    return out
  }

  private func decoded(_ bytes: [UInt8], field: UInt32 = 3) -> RPCErrorDetails? {
    bytes.withUnsafeBytes { RPCErrorDetails.decode($0, field: field) }
  }

  private var full: RPCErrorDetails {
    var details = RPCErrorDetails(.permissionMissing)
    details.metadata = ["permission": "read:prompt", "credential": "a", "": ""]
    details.violations = [.init(field: "keys.3", problem: "is empty"), .init(field: "", problem: "ä")]
    details.retryDelay = .milliseconds(1500)
    return details
  }

  @Test func everyErrorHasItsReasonAndItsCode() {
    for reason in ErrorReason.allCases {
      let status = RPCStatus(reason, "m")
      #expect(status.code == reason.code && status.code != .ok && status.reason == reason)
      #expect(status.details?.domain == "configlookup.v1" && status.details?.reason == reason.rawValue)
    }
    #expect(RPCStatus.ok.details == nil && RPCStatus.ok.reason == nil)
    #expect(RPCStatus(clientSide: .unavailable, "").details == nil)
  }

  /// The rules of `google.rpc.ErrorInfo`: at most 63 characters of `[A-Z][A-Z0-9_]+[A-Z0-9]`.
  @Test func reasonsAreNamedAsErrorInfoWants() {
    for name in ErrorReason.allCases.map(\.rawValue) {
      #expect(name.utf8.count <= 63 && name.wholeMatch(of: /[A-Z][A-Z0-9_]+[A-Z0-9]/) != nil, "\(name)")
    }
  }

  /// A reason of another domain is not one of this service, whatever its name.
  @Test func theDomainDecides() {
    var details = RPCErrorDetails(.notReady)
    #expect(RPCStatus(clientSide: .unavailable, "", details).reason == .notReady)
    details.domain = "googleapis.com"
    #expect(RPCStatus(clientSide: .unavailable, "", details).reason == nil)
  }

  @Test func theBytesAreThoseOfTheProtocol() throws {
    let list = try WireMessage(encoded(full)).messages(3)
    #expect(
      list.map { $0.text(1) }
        == ["ErrorInfo", "BadRequest", "RetryInfo"].map { "type.googleapis.com/google.rpc.\($0)" })
    let info = try list[0].message(2)
    #expect(info.text(1) == "PERMISSION_MISSING" && info.text(2) == "configlookup.v1")
    #expect(try info.messages(3).map { $0.text(1) } == ["", "credential", "permission"], "in one order")
    #expect(try list[1].message(2).messages(1).map { $0.text(1) } == ["keys.3", ""])
    let delay = try list[2].message(2).message(1)
    #expect(delay.number(1) == 1 && delay.number(2) == 500_000_000)
  }

  @Test func whatWasEncodedIsDecoded() {
    for field in [UInt32(3), 6] {
      #expect(decoded(encoded(full, field: field), field: field) == full)
      #expect(decoded(encoded(full, field: field), field: field + 1) == nil)
    }
    #expect(decoded([]) == nil)
    var details = RPCErrorDetails()
    details.retryDelay = .zero
    #expect(decoded(encoded(details)) == details, "0 s differs from no delay")
  }

  @Test func detailsOfOtherTypesAreIgnored() {
    let other = WireMessage().with(
      3, WireMessage().with(1, "type.googleapis.com/google.rpc.Help").with(2, WireMessage().with(1, "x")))
    #expect(decoded(other.encoded) == nil)
    #expect(decoded(other.encoded + encoded(full) + other.encoded) == full)
  }

  /// A `google.protobuf.Duration` outside of its range, with which no arithmetic may overflow.
  @Test func aDelayOutOfRangeIsNone() {
    for (seconds, nanoseconds) in [(UInt64.max, 0), (UInt64(Int64.max), 0), (1, 1_000_000_000), (0, UInt64.max)] {
      let duration = WireMessage().with(1, UInt64(seconds)).with(2, UInt64(nanoseconds))
      let any = WireMessage().with(1, "type.googleapis.com/google.rpc.RetryInfo").with(
        2, WireMessage().with(1, duration))
      #expect(decoded(WireMessage().with(3, any).encoded)?.retryDelay == .zero)
    }
  }

  @Test func anyBytesAreDecodedToSomething() {
    var random = SeededRandom.fresh("details")
    let valid = encoded(full)
    for _ in 0..<2000 {
      var bytes = Array(valid.prefix(random.below(valid.count + 1)))
      for _ in 0..<random.below(4) where !bytes.isEmpty {
        bytes[random.below(bytes.count)] = UInt8(random.below(256))
      }
      _ = decoded(bytes)
    }
  }

  /// The table in the documentation, which clients are written by, has every reason with its code.
  @Test func theDocumentationHasEveryReason() throws {
    let page = try String(contentsOf: packageRoot.appendingPathComponent("docs/reference/grpc.md"), encoding: .utf8)
    let rows = page.matches(of: /\n\| `([A-Z_]+)` \| ([A-Z_]+) \|/).map { "\($0.1) \($0.2)" }
    #expect(rows.sorted() == ErrorReason.allCases.map { "\($0.rawValue) \($0.code.name)" }.sorted())
  }
}
