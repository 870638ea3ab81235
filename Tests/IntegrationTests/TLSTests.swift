// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import ConfigLookupTLS
internal import Foundation
internal import FramedTransport
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// TLS of the whole server in processes: flags, files, signals, and the command line as a client.
@Suite struct TLSTests {
  private static let name = "config-lookup-server"

  @Test(arguments: [[], ["--grpc"]]) func theCommandLineOverTLSAndMutualTLS(flags: [String]) throws {
    try withFiles { files throws in
      try withDeployment { test throws in
        try test.agents.insert(Documents.agent("a"))
        let server = try ServerProcess(test.arguments + files.arguments(isMutual: true))
        let address = try server.address()
        func get(_ arguments: [String]) throws -> ProcessEnd {
          try ProcessEnd("config-lookup", ["get", "agent", "a", "--server", "\(address)"] + flags + arguments)
        }
        let trust = ["--tls-ca", files.authority.certificate]
        let worker = try files.authority.issue("worker")
        let identity = ["--tls-certificate", worker.certificate, "--tls-key", worker.key]
        let good = try get(trust + identity)
        #expect(good.status == .exited(0) && good.output.contains { $0.contains("agent_id: a") }, "\(good)")
        for (arguments, words) in [
          ([], "may require TLS"), (["--tls"], "certificate"), (trust, "certificate required"),
          (trust + identity + ["--tls-server-name", "elsewhere"], "hostname mismatch"),
          (trust + identity.prefix(2), "--tls-key"), (["--tls-ca", "/nonexistent"], "--tls-ca"),
        ] as [([String], String)] {
          let end = try get(arguments)
          #expect(end.status != .exited(0) && end.errors.contains(words), "\(arguments): \(end.errors)")
        }
        try server.child.waitForLine("who has no certificate") { $0.contains("\"reason\":\"no_certificate\"") }
        #expect(try server.child.stop() == .exited(0))
      }
    }
  }

  /// The health check of the image runs beside the server, with the server's environment, under mutual TLS.
  @Test(arguments: [false, true]) func theHealthCheckUnderMutualTLS(isHTTPPlain: Bool) throws {
    try withFiles { files throws in
      try withDeployment { test throws in
        var environment = [
          "CONFIG_LOOKUP_TLS_CERTIFICATE": files.pair.certificate, "CONFIG_LOOKUP_TLS_KEY": files.pair.key,
          "CONFIG_LOOKUP_TLS_CLIENT_CA": files.authority.certificate,
          "CONFIG_LOOKUP_TLS_CA": files.authority.certificate, "CONFIG_LOOKUP_TLS_SERVER_NAME": "localhost",
        ]
        let flags = isHTTPPlain ? ["--http-plain"] : []
        let server = try ServerProcess(test.arguments + flags, environment: environment)
        let address = try server.address()
        let line = try server.child.waitForLine("it is ready") { $0.contains("\"event\":\"ready\"") }
        let http = try #require(try jsonObject(line)["http_listen"] as? String)
        environment["CONFIG_LOOKUP_HTTP_SERVER"] = isHTTPPlain ? "http://\(http)" : http
        let good = try ProcessEnd("config-lookup", ["health"], environment: environment)
        #expect(good.status == .exited(0) && good.output == ["serving"], "\(good)")
        let worker = try files.authority.issue("worker")
        environment["CONFIG_LOOKUP_HTTP_SERVER"] = nil
        environment["CONFIG_LOOKUP_SERVER"] = "\(address)"
        // The server's own certificate is not a client certificate.
        let without = try ProcessEnd("config-lookup", ["health"], environment: environment)
        #expect(
          without.status == .exited(EX_UNAVAILABLE) && without.errors.contains("certificate required"), "\(without)")
        environment["CONFIG_LOOKUP_CLIENT_TLS_CERTIFICATE"] = worker.certificate
        environment["CONFIG_LOOKUP_CLIENT_TLS_KEY"] = worker.key
        let with = try ProcessEnd("config-lookup", ["health"], environment: environment)
        #expect(with.status == .exited(0) && with.output == ["serving"], "\(with)")
      }
    }
  }

  @Test func filesAreReadAgainWhenTheyChange() throws {
    try withFiles { files throws in
      try withDeployment { test throws in
        let server = try test.server {
          $0.tlsCertificate = files.pair.certificate
          $0.tlsKey = files.pair.key
          $0.fileCheckInterval = .milliseconds(20)
        }
        let trusting = try TLSContext(clientTrusting: files.authority.certificate)
        let old = try FramedClient(server.address, tls: trusting)
        let other = try TestAuthority(files.folder, "other")
        // A new certificate without its key is rejected.
        try files.replace(certificate: other.issueServer().certificate)
        try poll("a pair that does not match is named") {
          server.log.lines(event: "files_not_reloaded").contains { $0.contains("--tls-key") && $0.contains("in force") }
        }
        _ = try FramedClient(server.address, tls: trusting)
        let pair = try other.issueServer()
        try files.replace(certificate: pair.certificate, key: pair.key)
        let newTrust = try TLSContext(clientTrusting: other.certificate)
        try poll("the new pair") { (try? FramedClient(server.address, tls: newTrust)) != nil }
        // The new certificate is in force before it is logged.
        try poll("it is logged") { server.log.lines(event: "files_reloaded").count == 1 }
        #expect(throws: RPCClientError.self) { try FramedClient(server.address, tls: trusting) }
        try old.ping(7, deadline: soon())
      }
    }
  }

  /// The layout of Kubernetes: the files are links through a folder that is itself a link, which is replaced.
  @Test func linksThatAreSwapped() throws {
    try withFiles { files throws in
      try withDeployment { test throws in
        let manager = FileManager.default
        func version(_ name: String, _ pair: TestAuthority.Pair) throws {
          let folder = files.folder.appendingPathComponent(name)
          try manager.createDirectory(at: folder, withIntermediateDirectories: false)
          try manager.copyItem(atPath: pair.certificate, toPath: folder.appendingPathComponent("tls.crt").path)
          try manager.copyItem(atPath: pair.key, toPath: folder.appendingPathComponent("tls.key").path)
          let new = files.folder.appendingPathComponent("..data_tmp").path
          try manager.createSymbolicLink(atPath: new, withDestinationPath: name)
          guard rename(new, files.folder.appendingPathComponent("..data").path) == 0 else {
            throw TestFailure("rename")
          }
        }
        try version("..1", files.pair)
        for file in ["tls.crt", "tls.key"] {
          try manager.createSymbolicLink(
            atPath: files.folder.appendingPathComponent(file).path, withDestinationPath: "..data/\(file)")
        }
        let server = try test.server {
          $0.tlsCertificate = files.folder.appendingPathComponent("tls.crt").path
          $0.tlsKey = files.folder.appendingPathComponent("tls.key").path
          $0.fileCheckInterval = .milliseconds(20)
        }
        let other = try TestAuthority(files.folder, "other")
        let newTrust = try TLSContext(clientTrusting: other.certificate)
        #expect(throws: RPCClientError.self) { try FramedClient(server.address, tls: newTrust) }
        try version("..2", other.issueServer())
        try poll("the new pair") { (try? FramedClient(server.address, tls: newTrust)) != nil }
        #expect(server.log.lines(event: "files_not_reloaded").isEmpty)
      }
    }
  }

  @Test func aSignalHasFilesReadAgain() throws {
    try withFiles { files throws in
      try withDeployment { test throws in
        let server = try ServerProcess(test.arguments + files.arguments())
        _ = try server.address()
        server.child.send(SIGHUP)
        try server.child.waitForLine("read again") { $0.contains("\"event\":\"files_reloaded\"") }
        #expect(try server.child.stop() == .exited(0))
      }
    }
  }

  @Test func mistakesAtTheStart() throws {
    try withFiles { files throws in
      let (certificate, key) = (files.pair.certificate, files.pair.key)
      let other = try files.authority.issueServer()
      let both = ["--tls-certificate", certificate, "--tls-key", key]
      for (arguments, words) in [
        (["--tls-certificate", certificate], ["--tls-certificate", "--tls-key"]),
        (["--tls-key", key], ["--tls-key", "--tls-certificate"]),
        (["--tls-client-ca", certificate], ["--tls-client-ca", "--tls-certificate"]),
        (
          ["--tls-certificate", "/nonexistent", "--tls-key", key],
          ["--tls-certificate", "/nonexistent", "No such file"]
        ),
        (["--tls-certificate", certificate, "--tls-key", other.key], ["--tls-key", other.key, "does not belong to"]),
        (both + ["--tls-client-ca", key], ["--tls-client-ca", key, "no certificate"]),
        (both + ["--listen", "0.0.0.0:0"], ["--listen", "credentials", "--allow-insecure"]),
        (["--listen", "0.0.0.0:0"], ["--listen", "TLS", "credentials"]),
        (
          both + ["--tls-client-ca", certificate, "--http-listen", "0.0.0.0:0", "--http-plain"],
          ["--http-listen", "no TLS"]
        ),
      ] as [([String], [String])] {
        for action in [[], ["--check-config"]] {
          let end = try ProcessEnd(Self.name, arguments + action)
          #expect(end.status == .exited(EX_USAGE), "\(arguments)")
          for word in words { #expect(end.errors.contains(word), "\(arguments): \(end.errors)") }
        }
      }
      let good = both + ["--tls-client-ca", files.authority.certificate, "--listen", "0.0.0.0:0", "--check-config"]
      let end = try ProcessEnd(Self.name, good)
      #expect(end.status == .exited(0) && end.output.contains { $0.contains("TLS") && $0.contains(certificate) })
      let late = try files.authority.issueServer(days: -1)
      let warned = try ProcessEnd(
        Self.name, ["--tls-certificate", late.certificate, "--tls-key", late.key, "--check-config"])
      #expect(warned.status == .exited(0) && warned.errors.contains("expired"))
    }
  }
}

/// A server certificate, in files of a test's own.
struct TLSTestFiles {
  let folder: URL
  let authority: TestAuthority
  let pair: TestAuthority.Pair

  /// The flags of the server.
  func arguments(isMutual: Bool = false) -> [String] {
    ["--tls-certificate", pair.certificate, "--tls-key", pair.key]
      + (isMutual ? ["--tls-client-ca", authority.certificate] : [])
  }

  func replace(certificate: String? = nil, key: String? = nil) throws {
    for (path, other) in [(pair.certificate, certificate), (pair.key, key)] {
      guard let other else { continue }
      try Data(contentsOf: URL(fileURLWithPath: other)).write(to: URL(fileURLWithPath: path))
    }
  }
}

func withFiles(_ body: (TLSTestFiles) throws -> Void) throws {
  try temporaryFolder { folder throws in
    let authority = try TestAuthority(folder)
    try body(TLSTestFiles(folder: folder, authority: authority, pair: authority.issueServer()))
  }
}
