// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupServer
internal import Foundation
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@testable internal import MongoSource

/// The rules for connection strings, the messages about them, and the secrets that are never repeated.
@Suite struct MongoURITests {
  @Test(arguments: [
    // A password that contains a delimiter must not pass for a host or a database.
    ("mongodb://root:prod@s3cret@host/db", "percent-encoded"), ("mongodb://root:12/s3cret@host/db", "percent-encoded"),
    ("mongodb://root:12/s3/cret@host/?w=1", "percent-encoded"), ("mongodb://root:s3:cret@host/", "percent-encoded"),
    ("mongodb://u@ser:s3cret@host/", "percent-encoded"), ("mongodb://s3cret%40host/", "percent-encoded"),
    ("mongodb+srv://root:prod@s3cret@db.example.com/", "percent-encoded"),
    // libmongoc 1.23 ends the process on these as soon as the database answers.
    ("mongodb://host/?authMechanism=MONGODB-X509", "tlsCertificateKeyFile"),
    ("mongodb://host/?authMechanism=mongodb-x509&tls=true", "tlsCertificateKeyFile"),
    ("mongodb://u@host/?authMechanism=MONGODB-X509", "tls=true"),
    ("mongodb://host/?authMechanism=MONGODB-X509&tlsCertificateKeyFile=/a&tls=false", "tls=true"),
    ("mongodb://user@host/", "has no password"), ("mongodb://a%40b@host/", "has no password"),
    ("mongodb://user@host/?authMechanism=SCRAM-SHA-256", "has no password"),
    ("mongodb://user@host/?authMechanism=PLAIN", "has no password"),
    ("mongodb://user@host/?authMechanism=MONGODB-AWS", "has no password"),
    ("mongodb://u:s3cret@host/?authMechanism=MONGODB-OIDC", "MONGODB-OIDC is not supported; use one of SCRAM-SHA-256"),
    ("mongodb://u:s3cret@host/?authMechanism=MONGODB-CR", "is not supported"),
    // No timeout, and timeouts that cannot be kept.
    ("mongodb://host/?socketTimeoutMS=-1", "socketTimeoutMS=-1"), ("mongodb://host/?socketTimeoutMS=200", "1000"),
    ("mongodb://host/?connectTimeoutMS=-1", "connectTimeoutMS=-1"),
    ("mongodb://host/?maxPoolSize=-1", "maxPoolSize=-1"),
    ("mongodb://host/?serverSelectionTimeoutMS=-5", "serverSelectionTimeoutMS=-5"),
    ("mongodb://host/?waitQueueTimeoutMS=-1", "waitQueueTimeoutMS=-1"),
    ("mongodb://host/?heartbeatFrequencyMS=10", "heartbeatfrequencyms"), ("mongodb://host/?w=0", "w=0"),
    // Values that are empty, or of the wrong type.
    ("mongodb://host/?tlsCAFile=", "tlsCAFile is empty"), ("mongodb://host/?tls=", "tls is empty"),
    ("mongodb://host/?authSource=", "authSource is empty"), ("mongodb://host/?replicaSet=", "replicaSet is empty"),
    ("mongodb://host/?compressors=", "compressors is empty"), ("mongodb://host/?tls=ture", "tls"),
    ("mongodb://host/?maxPoolSize=many", "maxpoolsize"), ("mongodb://host/?tls=true&ssl=false", "conflicts"),
    ("mongodb://host/?tls", "NAME=VALUE"), ("mongodb://host/?=x", "NAME=VALUE"),
    ("mongodb://host/?w=1&&tls=true", "NAME=VALUE, separated by &, after w"),
    ("mongodb://u:p@host/?tlsCertificateKeyFilePassword=s3cret&tls=s3cret", "tls"),
    ("mongodb://u:p@host/?tls=true&s3cret", "after tls"),
    // Text by the rules of `WrittenText`.
    ("", "mongodb://"), ("MongoDB://host", "mongodb://"), ("http://host", "mongodb://"), ("mongodb://", "host"),
    ("mongodb://a,,b/", "host"), ("mongodb://host/\0", "NUL"), ("mongodb://ho\r\nst/", "line break"),
    ("mongodb+srv://a.b.c:1/", "SRV"),
  ]) func refused(text: String, words: String) {
    let error = #expect(throws: MongoError.self) { try MongoURI(text) }
    let message = error?.description ?? ""
    #expect(message.contains(words) && !message.contains("s3") && !message.contains("cret"), "\(message)")
  }

  @Test(arguments: [
    ("mongodb://u:s3cret@host/?appname=a@b", "MongoDB at host:27017", []),
    ("\u{feff} mongodb://a:1,b:2/ \r\n", "MongoDB at a:1,b:2", []),
    ("mongodb+srv://u:s3cret@db.example.com/", "MongoDB at mongodb+srv://db.example.com", []),
    ("mongodb://u:p%40s@host/?w=majority&", "MongoDB at host:27017", []),
    ("mongodb://u:s3cret@host/?authMechanism=plain", "MongoDB at host:27017", ["clear text"]),
    ("mongodb://u:s3cret@host/?authMechanism=PLAIN&tls=true", "MongoDB at host:27017", []),
    ("mongodb://h/?maxPoolSize=0", "MongoDB at h:27017", []),
    ("mongodb://h/?maxPoolSize=2", "MongoDB at h:27017", ["raised to 16"]),
    ("mongodb://h/?minPoolSize=5", "MongoDB at h:27017", ["minPoolSize is ignored"]),
    (
      "mongodb://h/?socketTimeoutMS=0&connectTimeoutMS=0", "MongoDB at h:27017",
      ["connectTimeoutMS=0", "socketTimeoutMS=0"]
    ),
    ("mongodb://h/?readPreference=nearest", "MongoDB at h:27017", ["readPreference is ignored"]),
    ("mongodb://h/?readConcernLevel=local", "MongoDB at h:27017", ["readConcernLevel is ignored"]),
    ("mongodb://h/?compressors=lz4", "MongoDB at h:27017", ["lz4"]),
    ("mongodb://h/?tls=false&tls=true", "MongoDB at h:27017", ["Overwriting", "tls"]),
    (
      "mongodb://h/?tlsCAfiel=/a", "MongoDB at h:27017",
      ["tlsCAfiel: no such option", "did you mean tlsCAFile?", "not encrypted"]
    ),
    ("mongodb://h/?tls=true&tlsCRLFile=/a", "MongoDB at h:27017", ["tlsCRLFile: no such option"]),
    ("mongodb://h/?proxyHost=x", "MongoDB at h:27017", ["proxyHost: no such option"]),
    ("mongodb://h/?timeoutMS=5", "MongoDB at h:27017", ["timeoutMS: no such option"]),
    (
      "mongodb://u:s3cret@h/?authMechanismProperties=A:s3cret&authMechanismProperties=A:s3cret", "MongoDB at h:27017",
      ["Overwriting"]
    ),
  ]) func taken(text: String, place: String, warnings: [String]) throws {
    let uri = try MongoURI(text)
    #expect(uri.place == place)
    let said = uri.warnings.joined(separator: "\n")
    #expect(uri.warnings.isEmpty == warnings.isEmpty, "\(said)")
    for words in warnings { #expect(said.contains(words), "\(said)") }
    #expect(!said.contains("s3cret"))
  }

  @Test func filesAreOpened() throws {
    try temporaryFolder { folder in
      func path(_ name: String, _ text: String) throws -> String {
        let file = folder.appendingPathComponent(name)
        try text.write(to: file, atomically: true, encoding: .utf8)
        return file.path
      }
      let authority = try TestAuthority(folder)
      let identity = try authority.issue("client")
      let certificate = try String(contentsOfFile: identity.certificate, encoding: .utf8)
      let both = try path("both.pem", certificate + String(contentsOfFile: identity.key, encoding: .utf8))
      for (query, words) in [
        ("tlsCAFile=/nowhere/ca.pem", "tlsCAFile: /nowhere/ca.pem: No such file"),
        ("tlsCAFile=\(folder.path)", "is a directory"), ("tlsCAFile=\(try path("empty", ""))", "no PEM certificate"),
        ("tlsCertificateKeyFile=\(identity.certificate)", "no PEM private key"),
        ("sslCertificateAuthorityFile=/nowhere/ca.pem", "tlsCAFile: /nowhere/ca.pem"),
      ] {
        let uri = "mongodb://u:s3cret@127.0.0.1:1/?\(query)"
        let error = #expect(throws: MongoError.self) { try MongoClientPool(uri: uri) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        let check = try ProcessEnd("config-lookup-server", ["--check-config", "--mongodb-uri", uri])
        #expect(check.status == .exited(64) && check.errors.contains("--mongodb-uri: ") && check.errors.contains(words))
        #expect(!check.errors.contains("s3cret"))
      }
      _ = try MongoClientPool(
        uri: "mongodb://127.0.0.1:1/?tlsCAFile=\(identity.certificate)&tlsCertificateKeyFile=\(both)"
          + "&authMechanism=MONGODB-X509")
    }
  }

  /// A warning about an ignored option is printed by --check-config and logged at start.
  @Test func warningsAreShown() throws {
    let uri = "mongodb://u:s3cret@127.0.0.1:\(try freePort())/?tlsCAfiel=/a&readPreference=secondary"
    let check = try ProcessEnd("config-lookup-server", ["--check-config", "--mongodb-uri", uri])
    #expect(check.status == .exited(0))
    let server = try ServerProcess(["--mongodb-uri", uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
    for words in ["did you mean tlsCAFile?", "readPreference is ignored"] {
      #expect(check.errors.contains(words), "\(check.errors)")
      let line = try server.child.waitForLine(words) { $0.contains(words) }
      let fields = try jsonObject(line)
      #expect(fields["event"] as? String == "configuration_warning" && fields["level"] as? String == "warning")
    }
    #expect(try server.child.stop() == .exited(0))
    #expect(!(check.errors + server.child.lastLines).contains("s3cret"))
  }

  /// An unreachable name server is treated like an unreachable database.
  @Test func aServiceThatCannotBeLookedUpIsTriedAgain() throws {
    let server = try ServerProcess([
      "--mongodb-uri", "mongodb+srv://u:s3cret@db.config-lookup.invalid/", "--listen", "127.0.0.1:0", "--http-listen",
      "127.0.0.1:0",
    ])
    let line = try server.child.waitForLine("it says what is wrong", timeout: .seconds(60)) {
      $0.contains("stream_not_opened") && $0.contains("SRV")
    }
    #expect(!line.contains("s3cret") && line.contains("mongodb+srv://db.config-lookup.invalid"))
    #expect(server.child.isRunning)
    server.child.send(SIGTERM)
    #expect(try server.child.waitForExit(timeout: .seconds(60)) == .exited(0))
  }

  /// maxPoolSize=0 means no limit to other drivers, and a pool of one to libmongoc.
  @Test func aPoolWithoutLimitIsEnoughForItsStreams() throws {
    for query in ["maxPoolSize=0", "maxPoolSize=1", "maxPoolSize=0&minPoolSize=1"] {
      let pool = try MongoClientPool(uri: "mongodb://127.0.0.1:1/?\(query)&waitQueueTimeoutMS=1")
      // Three streams hold one client each while they are open, and commands need clients in addition.
      let clients = try (0..<8).map { _ in try pool.pop() }
      for client in clients { pool.push(client) }
    }
  }
}
