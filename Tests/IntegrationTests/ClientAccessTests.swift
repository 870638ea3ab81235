// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupClient
internal import ConfigLookupCore
internal import ConfigLookupServer
internal import Foundation
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The client library over TLS, and with a token.
@Suite struct ClientAccessTests {
  @Test func overTLSAndMutualTLS() async throws {
    try await withClientDeployment { test in
      let folder = try makeTemporaryFolder()
      defer { try? FileManager.default.removeItem(at: folder) }
      let authority = try TestAuthority(folder)
      let (pair, worker) = (try authority.issueServer(), try authority.issue("worker"))
      try test.deployment.agents.insert(Documents.agent("a"))
      let server = try test.deployment.server {
        ($0.tlsCertificate, $0.tlsKey, $0.tlsClientCA) = (pair.certificate, pair.key, authority.certificate)
      }
      let good = ClientConfiguration.TLS(
        authorities: authority.certificate, certificate: worker.certificate, key: worker.key)
      let client = try await test.client([server]) { $0.tls = good }
      #expect(try await client.agentConfig("a").value?.agentID == "a")

      let other = try TestAuthority(folder, "other")
      var (stranger, elsewhere, untrusting) = (good, good, good)
      (stranger.certificate, stranger.key) = (nil, nil)
      elsewhere.serverName = "elsewhere"
      untrusting.authorities = other.certificate
      for tls in [nil, stranger, elsewhere, untrusting] {
        var configuration = ClientConfiguration(addresses: ["\(server.address)"])
        configuration.tls = tls
        configuration.timeout = .milliseconds(300)
        let client = try ConfigLookupClient(configuration)
        await #expect(throws: ConfigLookupError.self) { try await client.agentConfig("a") }
        #expect(client.state == .notReady)
        client.close()
      }
      for reason in ["plain_text", "no_certificate"] {
        try poll("the server says why: \(reason)") {
          server.log.lines(event: "tls_handshake_failed").contains { $0.contains("\"reason\":\"\(reason)\"") }
        }
      }
      #expect(try await client.agentConfig("b").value == nil, "others notice nothing")

      var half = good
      half.key = nil
      let mistake = #expect(throws: ConfigLookupError.self) {
        var configuration = ClientConfiguration(addresses: ["\(server.address)"])
        configuration.tls = half
        _ = try ConfigLookupClient(configuration)
      }
      #expect(mistake?.code == .invalidArgument && mistake?.message.contains("key") == true)
    }
  }

  @Test func withAToken() async throws {
    try await withClientDeployment { test in
      let folder = try makeTemporaryFolder()
      defer { try? FileManager.default.removeItem(at: folder) }
      let access = try AccessDeployment(
        test.deployment, folder, ["worker": "read watch", "reader": "read:agent_config"], "")
      try test.deployment.agents.insert(Documents.agent("a", description: "one"))
      let server = try access.server()
      let client = try await test.client([server]) { $0.token = access.token("worker") }
      #expect(try await client.agentConfig("a").value?.description == "one")

      // Without the permission to watch, lookups are answered, and the client does not become ready.
      var configuration = ClientConfiguration(addresses: ["\(server.address)"])
      configuration.token = access.token("reader")
      let reader = try ConfigLookupClient(configuration)
      defer { reader.close() }
      let refusal = await #expect(throws: ConfigLookupError.self) { try await reader.ready() }
      #expect(refusal?.code == .notAllowed && refusal?.message.contains("lacks the permission watch") == true)
      #expect(reader.state == .error)

      // An unknown token.
      configuration.token = "nobody"
      let stranger = try ConfigLookupClient(configuration)
      defer { stranger.close() }
      let unknown = await #expect(throws: ConfigLookupError.self) { try await stranger.agentConfig("a") }
      #expect(unknown?.code == .notAllowed)

      // The token is revoked while it is in use: cached answers are no longer confirmed.
      try access.write(["reader": "read:agent_config"])
      try await eventually("it is refused") { client.state == .error }
    }
  }
}
