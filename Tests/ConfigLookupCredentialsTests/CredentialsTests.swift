// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import Foundation
internal import LookupService
internal import TestSupport
internal import Testing

@testable internal import ConfigLookupCredentials

/// The digests of "one" and "two": printf %s one | sha256sum
private let one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
private let two = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

@Suite struct CredentialsTests {
  @Test func linesOfEveryKind() throws {
    let text =
      """
      # who may do what

      ingest\tsha256:\(one)  read:prompt,agent_config watch
      ingest sha256:\(two.uppercased()) read
      ops certificate:cn:ops admin
      worker@x certificate:uri:spiffe://x/y:z read
      """
    let list = try CredentialList(Array(text.utf8), file: "f")
    #expect(list.count == 4)
    let first = try #require(list.caller(token: Array("one".utf8)))
    #expect(first.name == "ingest")
    let names = ["read:agent_config", "read:prompt", "read:source_config", "watch", "admin"]
    func permissions(_ caller: RPCCaller) -> [String] {
      names.filter { RPCPermission.permissions(called: $0)?.allSatisfy(caller.has) == true }
    }
    #expect(permissions(first) == ["read:agent_config", "read:prompt", "watch"])
    #expect(try permissions(#require(list.caller(token: Array("two".utf8)))) == Array(names[..<3]))
    #expect(try permissions(#require(list.caller(certificateNames: ["dns:ops", "cn:ops"]))) == ["admin"])
    #expect(list.caller(certificateNames: ["uri:spiffe://x/y:z"])?.name == "worker@x")
    #expect(list.caller(certificateNames: ["dns:ops"]) == nil, "the kind counts")
    #expect(list.caller(token: Array("on".utf8)) == nil && list.caller(token: []) == nil)
  }

  /// A line that is overlooked is a caller that is rejected.
  @Test(arguments: ["\n", "\r\n", "\r"]) func everyLineCounts(end: String) throws {
    for file in [
      "a sha256:\(one) read\(end)b sha256:\(two) read", "\u{feff}a sha256:\(one) read\(end)\tb  sha256:\(two) read \n",
      "# mixed\r\na sha256:\(one) read\(end)b sha256:\(two) read\r\n\(end)# end\n",
    ] {
      let list = try CredentialList(Array(file.utf8), file: "f")
      #expect(list.count == 2 && list.caller(token: Array("two".utf8))?.name == "b", "\(file.debugDescription)")
    }
  }

  @Test(arguments: [
    ("", "f: contains no credential"), ("# nothing\n", "f: contains no credential"), ("ingest", "f:1: write NAME"),
    ("a sha256:\(one)", "f:1: write NAME"), ("a sha256:s3cret read", "f:1: sha256"),
    ("\na sha256:\(one) reed", "f:2: reed: unknown permission; use read,"),
    ("a sha256:\(one) read:", "read:: unknown permission"),
    ("a sha256:\(one) read:prompt,agents", "read:prompt,agents"), ("a sha256:\(one) watch", "watch: needs read"),
    ("a sha256:\(one) watch admin", "watch: needs read"), ("a md5:\(one) read", "f:1: the second word"),
    ("a certificate:ops read", "f:1: the second word"), ("a certificate:ip:1 read", "cn, dns, uri, email"),
    ("a\"b sha256:\(one) read", "f:1: the name"),
    ("a sha256:\(one) read\nb sha256:\(one) admin", "f:2: the same sha256 as in line 1"),
    ("a certificate:cn:x read\nb certificate:cn:x read", "f:2: the same certificate"),
    // Line ends of every kind count as one.
    ("a sha256:\(one) read\r\n\r\nb sha256:\(two) reed\r\n", "f:3: reed: unknown permission"),
    ("a sha256:\(one) read\r\nb sha256:\(two) reed\n", "f:2: reed: unknown permission"),
    ("a sha256:\(one) read\0", "f: contains a NUL"), ("a sha256:\(one) READ", "READ: unknown permission"),
    ("a sha256:\(one) read:prompt,,agent_config", "unknown permission"),
    ("A SHA256:\(one) read", "f:1: the second word"),
  ]) func mistakes(text: String, words: String) throws {
    let problem = #expect(throws: CredentialProblem.self) { try CredentialList(Array(text.utf8), file: "f") }
    #expect(problem?.message.contains(words) == true, "\(problem?.message ?? "")")
    #expect(problem?.message.contains("s3cret") == false && problem?.message.contains(one) == false)
  }

  /// Regression test: equality of `String` is canonical equivalence.
  @Test func namesAreComparedByTheirBytes() throws {
    let text = "a certificate:cn:opK read\nb certificate:cn:caf\u{e9} read\nc certificate:cn:cafe\u{301} admin"
    let list = try CredentialList(Array(text.utf8), file: "f")
    #expect(list.count == 3, "two names of different bytes are two")
    #expect(list.caller(certificateNames: ["cn:opK"])?.name == "a")
    #expect(list.caller(certificateNames: ["cn:op\u{212a}"]) == nil, "the Kelvin sign is no K")
    #expect(list.caller(certificateNames: ["cn:caf\u{e9}"])?.name == "b")
    #expect(list.caller(certificateNames: ["cn:cafe\u{301}"])?.name == "c")
    #expect(CertificateName(.commonName, "opK") != CertificateName(.commonName, "op\u{212a}"))
    #expect(Set([CertificateName(.dns, "caf\u{e9}"), CertificateName(.dns, "cafe\u{301}")]).count == 2)
  }

  @Test func callersAreFoundCountedAndLogged() throws {
    try temporaryFolder { folder in
      let file = folder.appendingPathComponent("credentials").path
      #expect(throws: CredentialProblem.self) { try Credentials(file: file) }
      try "a sha256:\(one) read\nb certificate:cn:b read:prompt\n".write(
        toFile: file, atomically: true, encoding: .utf8)
      let log = CapturedLog()
      let credentials = try Credentials(file: file, logger: log.logger)
      let peer = Peer()
      let identities = RPCIdentities(credentials, peer)
      func identity(_ text: String?) -> RPCIdentity {
        guard var text else { return identities[nil] }
        return text.withUTF8 { identities[UnsafeRawBufferPointer($0)] }
      }
      let read = try #require(RPCPermission.permissions(called: "read:prompt")?.first)
      let other = try #require(RPCPermission.permissions(called: "read:agent_config")?.first)
      try identity("Bearer one").require(read)
      try identity("bEARER one").require(read)
      #expect(identity("Bearer one") === identity("Bearer one"), "looked up once")
      for (text, refusal) in [
        (nil, .missing), ("Bearer nobody", .unknownToken), ("Bearer on", .unknownToken), ("Bearer", .malformed),
        ("Basic one", .malformed), ("", .malformed), ("Bearer " + String(repeating: "x", count: 4096), .malformed),
      ] as [(String?, RPCRefusal)] {
        let before = credentials.refusals(refusal)
        let error = #expect(throws: RPCStatus.self) { try identity(text).require(read) }
        #expect(error?.reason == (text == nil ? .credentialsMissing : .credentialsInvalid), "\(text ?? "none")")
        #expect(credentials.refusals(refusal) == before + 1, "\(text ?? "none")")
      }
      peer.certificateNames = ["dns:c", "cn:b"]
      let named = RPCIdentities(credentials, peer)[nil]
      try named.require(read)
      let denied = #expect(throws: RPCStatus.self) { try named.require(other) }
      #expect(denied?.reason == .permissionMissing && denied?.details?.metadata["permission"] == "read:agent_config")
      // A wrong token is rejected, even with a valid certificate.
      #expect(throws: RPCStatus.self) { try identity("Bearer nobody").require(read) }

      // A file that cannot be read changes nothing; a readable one replaces everything, for existing connections too.
      let old = identity("Bearer one")
      try "a sha256:\(one) reed".write(toFile: file, atomically: true, encoding: .utf8)
      #expect(throws: CredentialProblem.self) { try credentials.reload() }
      try old.require(read)
      try "a sha256:\(two) read".write(toFile: file, atomically: true, encoding: .utf8)
      try credentials.reload()
      #expect(throws: RPCStatus.self) { try old.require(read) }
      try identity("Bearer two").require(read)
      let lines = log.lines(event: "call_refused")
      #expect(lines.contains { $0.contains("\"credential\":\"b\"") && $0.contains("read:agent_config") })
      #expect(!lines.contains { $0.contains("nobody") }, "a token is never logged")
    }
  }
}

private final class Peer: RPCPeer {
  var address: String { "10.0.0.1:1" }
  var certificateNames: [String] = []
}
