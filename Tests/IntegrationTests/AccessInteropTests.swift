// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// TLS, certificates and tokens with clients of other makers. The cases are in Tests/Interop/access.py.
@Suite struct AccessInteropTests {
  @Test func tokensOverTLS() throws {
    try withFiles { files in
      try withCredentials(["agents": "read:agent_config watch", "all": "read watch admin"]) { test in
        let server = try Interop.server(
          test.deployment, files.arguments() + ["--credentials", test.file])
        try Interop.run(
          "access.py", "tokens", test.deployment, [server],
          ["authority": files.authority.certificate, "credentials": test.file, "tokens": test.tokens])
        #expect(!server.process.child.errorLines.contains { line in test.tokens.values.contains { line.contains($0) } })
      }
    }
  }

  @Test func handshakesThatAreRefused() throws {
    try withFiles { files in
      try withDeployment { test in
        let server = try Interop.server(test, files.arguments(isMutual: true) + ["--http-plain"])
        let foreign = try TestAuthority(files.folder, "foreign")
        var setting: [String: Any] = ["authority": files.authority.certificate, "foreign_ca": foreign.certificate]
        setting["tokens"] = [String: String]()
        for (name, pair) in try [
          ("worker", files.authority.issue("worker")), ("foreign", foreign.issue("worker")),
          ("expired", files.authority.issue("worker", days: -1)),
        ] {
          setting["\(name)_certificate"] = pair.certificate
          setting["\(name)_key"] = pair.key
        }
        try Interop.run("access.py", "refused_handshakes", test, [server], setting)
        // grpcio reports no reason if it does not trust the server.
        let tool = try ProcessEnd(
          "config-lookup", ["status", "--server", "\(server.address)", "--tls-ca", foreign.certificate])
        #expect(tool.status == .exited(EX_UNAVAILABLE), "\(tool.errors)")
        let line = try server.process.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
        let http = try HostAndPort(#require(jsonObject(line)["http_listen"] as? String))
        for reason in [
          "no_certificate", "untrusted_certificate", "expired_certificate", "refused_by_peer", "plain_text", "version",
        ] {
          try server.process.child.waitForLine(reason) {
            $0.contains("\"event\":\"tls_handshake_failed\"") && $0.contains("\"reason\":\"\(reason)\"")
          }
          let metrics = try metrics(http)
          let count = metrics["config_lookup_tls_handshake_failures_total{reason=\"\(reason)\"}"]
          #expect(count ?? 0 > 0, "\(reason)")
        }
      }
    }
  }

  @Test func certificatesAreReplacedUnderLoad() throws {
    try withFiles { files in
      try withCredentials(["all": "read watch admin"]) { test in
        let server = try Interop.server(
          test.deployment, files.arguments() + ["--credentials", test.file])
        let pairs = try (0..<3).map { _ in try files.authority.issueServer() }
        try Interop.run(
          "access.py", "certificates_replaced_under_load", test.deployment, [server],
          [
            "authority": files.authority.certificate, "tokens": test.tokens,
            "pairs": pairs.map { [$0.certificate, $0.key] }, "server_certificate": files.pair.certificate,
            "server_key": files.pair.key,
          ])
      }
    }
  }
}
