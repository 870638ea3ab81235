// SPDX-License-Identifier: Apache-2.0
import CNGHTTP2
import ConfigLookupRPC
import Foundation
import TestSupport
import Testing

@testable import GRPCTransport

struct GRPCTrailersTests {
  private func pairs(_ list: HTTP2HeaderList) -> [String] {
    list.withFields { fields in
      fields.map { field in
        let name = String(decoding: UnsafeBufferPointer(start: field.name, count: field.namelen), as: UTF8.self)
        let value = String(decoding: UnsafeBufferPointer(start: field.value, count: field.valuelen), as: UTF8.self)
        return "\(name)=\(value)"
      }
    }
  }

  private func metadata(_ pairs: (String, String)...) -> RPCMetadata {
    var metadata = RPCMetadata()
    for (key, value) in pairs { metadata.append(key, value) }
    return metadata
  }

  @Test func behindAMessage() {
    #expect(pairs(GRPCTrailers.list(.ok, RPCMetadata())) == ["grpc-status=0"])
    #expect(
      pairs(GRPCTrailers.list(RPCStatus(clientSide: .notFound, "no ä"), metadata(("a", "1"), ("a", "2\n")))) == [
        "grpc-status=5", "grpc-message=no %C3%A4", "a=1", "a=2%0A",
      ])
  }

  @Test func inPlaceOfAMessage() {
    #expect(
      pairs(GRPCTrailers.only(RPCStatus(clientSide: .unavailable, ""), RPCMetadata(), false)) == [
        ":status=200", "content-type=application/grpc", "grpc-status=14",
      ])
    #expect(
      pairs(GRPCTrailers.only(RPCStatus(clientSide: .unimplemented, ""), RPCMetadata(), true)).contains(
        "grpc-accept-encoding=identity"))
  }

  @Test func aRetryIsToldToClientsThatRetryByThemselves() throws {
    let status = RPCStatus(.subscribersLimit, "full", retryDelay: .milliseconds(1500))
    let headers = pairs(GRPCTrailers.list(status, RPCMetadata()))
    #expect(headers.last == "grpc-retry-pushback-ms=1500")
    let details = try details(of: headers)
    #expect(details.map(\.name) == ["ErrorInfo", "RetryInfo"])
    let (info, delay) = (details[0].message, try details[1].message.message(1))
    #expect(info.text(1) == "SUBSCRIBERS_LIMIT" && info.text(2) == "configlookup.v1" && info.all(3).isEmpty)
    #expect(delay.number(1) == 1 && delay.number(2) == 500_000_000)
  }

  @Test func aBadFieldIsNamed() throws {
    let details = try details(of: pairs(GRPCTrailers.list(.invalid("agent_id", "is empty"), RPCMetadata())))
    #expect(details.map(\.name) == ["ErrorInfo", "BadRequest"] && details[0].message.text(1) == "INVALID_FIELD")
    let violation = try details[1].message.message(1)
    #expect(violation.text(1) == "agent_id" && violation.text(2) == "is empty")
  }

  /// The details of the `google.rpc.Status`, whose other fields must be equal to those of the headers.
  private func details(of headers: [String]) throws -> [(name: String, message: WireMessage)] {
    let prefix = "grpc-status-details-bin="
    let text = try #require(headers.first { $0.hasPrefix(prefix) }).dropFirst(prefix.count)
    let padding = String(repeating: "=", count: (4 - text.count % 4) % 4)
    let status = try WireMessage(try #require(Data(base64Encoded: text + padding)))
    #expect(headers[0] == "grpc-status=\(status.number(1))" && headers[1] == "grpc-message=\(status.text(2))")
    let type = "type.googleapis.com/google.rpc."
    return try status.messages(3).map { any in
      #expect(any.text(1).hasPrefix(type))
      return (String(any.text(1).dropFirst(type.count)), try any.message(2))
    }
  }
}
