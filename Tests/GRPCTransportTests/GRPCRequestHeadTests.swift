// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import Testing

@testable import GRPCTransport

struct GRPCRequestHeadTests {
  private static let router = RPCRouter([
    RPCMethod(service: "test.v1.Test", name: "Echo", handler: .unary { _, _ in nil })
  ])
  private static let usual = [
    (":method", "POST"), (":path", "/test.v1.Test/Echo"), ("te", "trailers"), ("content-type", "application/grpc"),
    ("user-agent", "test/1"),
  ]

  private func head(_ headers: [(String, String)], limits: GRPCLimits = GRPCLimits()) -> GRPCRequestHead {
    var head = GRPCRequestHead()
    add(headers, to: &head, limits)
    return head
  }

  private func add(_ headers: [(String, String)], to head: inout GRPCRequestHead, _ limits: GRPCLimits = GRPCLimits()) {
    for (name, value) in headers {
      lent(name) { name in lent(value) { head.add(name, $0, Self.router, nil, limits) } }
    }
  }

  /// The status to which an additional header with this name and value leads.
  private func refusal(_ name: String, _ value: String) -> ErrorReason? {
    head(Self.usual + [(name, value)]).refusal?.reason
  }

  @Test func aUsualCall() {
    let head = head(Self.usual + [("grpc-timeout", "100m"), ("x-id", "7"), ("grpc-accept-encoding", "gzip")])
    #expect(head.nonGRPCRequest == nil && head.refusal == nil)
    #expect(head.method?.name == "Echo")
    #expect(head.timeoutNanoseconds == 100_000_000)
    #expect(head.metadata.pairs == [.init(key: "x-id", value: "7")])
  }

  @Test(arguments: [
    ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc;charset=utf-8", true),
    ("application/grpc+proto; a=b", true), ("application/grpc+json", false), ("application/grpc-web", false),
    ("application/grpcx", false), ("application/json", false), ("", false),
  ])
  func contentTypes(type: String, isGRPC: Bool) {
    let head = head([(":method", "POST"), (":path", "/test.v1.Test/Echo"), ("content-type", type)])
    #expect((head.nonGRPCRequest == nil) == isGRPC)
    if !isGRPC { #expect(head.nonGRPCRequest == .contentType) }
  }

  /// A call keeps its credential while it is open.
  @Test func credentialsCountAsMetadata() {
    let identities = RPCIdentities(Nobody(), NobodysPeer())
    func head(_ count: Int) -> GRPCRequestHead {
      var head = GRPCRequestHead()
      lent("authorization") { name in
        lent(String(repeating: "a", count: count)) { head.add(name, $0, Self.router, identities, GRPCLimits()) }
      }
      return head
    }
    #expect(head(5000).metadataBytes == 5000 && head(5000).problem == nil)
    #expect(head(9000).problem?.reason == .metadataTooLarge)
  }

  @Test func anotherMethodOfHTTPComesFirst() {
    for method in ["GET", "PUT", "post", ""] { #expect(head([(":method", method)]).nonGRPCRequest == .method) }
  }

  @Test func anUnknownPathIsRepeatedIfItIsShort() {
    let short = head([(":method", "POST"), (":path", "/test.v1.Test/Nothing")]).refusal
    #expect(short == RPCStatus(.unknownMethod, "unknown method \"/test.v1.Test/Nothing\""))
    let long = head([(":method", "POST"), (":path", String(repeating: "x", count: 5000))]).refusal
    #expect(long == RPCStatus(.unknownMethod, "unknown method of 5000 bytes"))
  }

  @Test func whatIsWrongWithTheHeaders() {
    #expect(refusal("grpc-timeout", "1") == .invalidField)
    #expect(refusal("grpc-encoding", "gzip") == .unsupportedCompression)
    #expect(refusal("grpc-encoding", "identity") == nil)
    #expect(refusal("x-bin", "!") == .invalidMetadata)
    // Headers of gRPC itself are not validated as metadata.
    #expect(refusal("grpc-tags-bin", "!") == nil)
    #expect(refusal("x!", "what HTTP allows in a name") == nil)
    #expect(head(Self.usual + [("x!", "a")]).metadata.isEmpty)
    #expect(head(Self.usual + [("grpc-encoding", "gzip")]).isEncodingUnknown)
    // The first problem is reported.
    #expect(head(Self.usual + [("x-bin", "!"), ("grpc-timeout", "1")]).refusal?.message.contains("x-bin") == true)
  }

  @Test func aValueThatIsNoTextIsRefused() {
    var head = head(Self.usual)
    lent("x-id") { name in
      [0x61, 0xff].withUnsafeBytes { head.add(name, $0, Self.router, nil, GRPCLimits()) }
    }
    #expect(head.refusal?.reason == .invalidMetadata)
  }

  @Test func valuesOfBytesMayShareAHeader() {
    let head = head(Self.usual + [("x-bin", "Zg==, Zm8,Zm9v"), ("x", "a, b")])
    #expect(head.metadata.pairs.map { "\($0.key)=\($0.value)" } == ["x-bin=Zg==", "x-bin=Zm8", "x-bin=Zm9v", "x=a, b"])
  }

  @Test func limits() {
    var limits = GRPCLimits()
    limits.metadataPairs = 2
    limits.metadataBytes = 12
    func reason(_ headers: [(String, String)]) -> ErrorReason? {
      self.head(Self.usual + headers, limits: limits).refusal?.reason
    }
    #expect(reason([("a", "1"), ("b", "2")]) == nil)
    #expect(reason([("a", "1"), ("b", "2"), ("c", "3")]) == .metadataTooLarge)
    #expect(reason([("a", String(repeating: "b", count: 11))]) == nil)
    #expect(reason([("a", String(repeating: "b", count: 12))]) == .metadataTooLarge)
    limits.metadataBytes = 100
    #expect(reason([("a-bin", "Zg,Zg")]) == nil)
    #expect(reason([("a-bin", "Zg,Zg,Zg")]) == .metadataTooLarge)
    // Headers that do not become metadata count, too. The limit is twice the announced size of the list.
    limits.headerListBytes = 200
    #expect(reason([("user-agent", String(repeating: "b", count: 100))]) == nil)
    #expect(reason([("user-agent", String(repeating: "b", count: 400))]) == .metadataTooLarge)
  }

  @Test func nothingIsLeftForTheNextCall() {
    var head = head([
      (":method", "POST"), (":path", "/x"), ("content-type", "application/grpc"), ("grpc-timeout", "1S"), ("x", "y"),
      ("grpc-encoding", "gzip"), ("x-large", String(repeating: "b", count: 8000)),
    ])
    head.reset()
    #expect(head.nonGRPCRequest == .method)
    add([(":method", "POST")], to: &head)
    #expect(head.nonGRPCRequest == .contentType)
    add([("content-type", "application/grpc")], to: &head)
    #expect(head.nonGRPCRequest == nil && head.refusal?.reason == .unknownMethod && head.method == nil)
    add([(":path", "/test.v1.Test/Echo"), ("x-large", String(repeating: "b", count: 8000))], to: &head)
    #expect(head.refusal == nil && head.timeoutNanoseconds == nil && !head.isEncodingUnknown)
    #expect(head.metadata.pairs.count == 1)
  }
}

private final class Nobody: RPCAccess {
  let generation = 1

  func caller(authorization: [UInt8]?, certificateNames: [String]) throws(RPCRefusal) -> RPCCaller {
    throw .unknownToken
  }

  func refused(_ refusal: RPCRefusal, _ caller: String?, _ right: RPCPermission?, peer: String) {}
}

private final class NobodysPeer: RPCPeer {
  let address = "test"
  let certificateNames: [String] = []
}
