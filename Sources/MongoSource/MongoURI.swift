// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ConfigLookupCore

/// A MongoDB connection string that has been validated before any connection is opened. Settings that libmongoc would
/// accept and that would later end the process are rejected; settings that it would drop silently result in warnings.
/// Any thread may use it.
///
/// No message contains a password.
///
/// https://www.mongodb.com/docs/manual/reference/connection-string/
public final class MongoURI: @unchecked Sendable {
  // Safe to share: only `init` changes the URI, and the pointer is set once.
  let pointer: OpaquePointer
  /// The hosts for messages, without user and password.
  public let place: String
  /// The settings that are dropped or replaced, one sentence each.
  public let warnings: [String]
  /// The files that options name.
  public let files: [(option: String, path: String)]
  /// Whether the URI sets a socket timeout.
  let hasSocketTimeout: Bool

  /// The minimum pool size: three streams, three reads, and commands beside them.
  private static let leastClients: Int32 = 16
  /// The pool size if the URI requests no limit, which libmongoc does not support.
  private static let manyClients: Int32 = 100

  /// Parses and validates a connection string by the rule of ``WrittenText``. Opens no file and no connection.
  ///
  /// - Parameter text: the connection string.
  /// - Throws: an error that describes what is wrong with the text, by option.
  public init(_ text: String) throws(MongoError) {
    let written = try MongoURIText(reading: text)
    let (uri, lines) = try written.parse()
    var hosts: [String] = []
    var host = mongoc_uri_get_hosts(uri)
    while let current = host {
      hosts.append(
        withUnsafeBytes(of: current.pointee.host_and_port) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
      host = UnsafePointer(current.pointee.next)
    }
    if let service = mongoc_uri_get_srv_hostname(uri) { hosts.append("mongodb+srv://" + String(cString: service)) }
    var warnings = lines.map { written.warning(of: $0, isEncrypted: mongoc_uri_get_tls(uri)) }
    let hasSocketTimeout = mongoc_uri_get_option_as_int32(uri, "sockettimeoutms", 0) > 0
    do throws(MongoError) {
      // A host may contain a percent-encoded at sign.
      guard !hosts.contains(where: { $0.contains("@") }) else { throw MongoURIText.percentEncoding }
      try Self.checkAuthentication(uri)
      warnings += try Self.setLimits(uri)
      warnings += try Self.setPreferences(uri)
    } catch {
      mongoc_uri_destroy(uri)
      throw error
    }
    pointer = uri
    place = "MongoDB at " + hosts.joined(separator: ",")
    self.hasSocketTimeout = hasSocketTimeout
    self.warnings = warnings
    files = ["tlsCAFile", "tlsCertificateKeyFile"].compactMap { option in
      mongoc_uri_get_option_as_utf8(uri, option, nil).map { (option: option, path: String(cString: $0)) }
    }
  }

  deinit {
    mongoc_uri_destroy(pointer)
  }

  /// The socket timeout: the URI's, or the default.
  var replyTimeout: Duration { .milliseconds(mongoc_uri_get_option_as_int32(pointer, "sockettimeoutms", 10_000)) }

  /// Reads and checks every file that the URI names.
  ///
  /// - Throws: an error that names the option and the file that cannot be used, and the reason.
  public func checkFiles() throws(MongoError) {
    for (option, path) in files {
      let bytes: [UInt8]
      do throws(FileProblem) {
        bytes = try readSmallFile(path)
      } catch {
        throw MongoError(message: "\(option): \(path): \(error)")
      }
      let text = String(decoding: bytes, as: UTF8.self)
      guard text.contains("-----BEGIN CERTIFICATE-----") || text.contains("-----BEGIN TRUSTED CERTIFICATE-----") else {
        throw MongoError(message: "\(option): \(path): contains no PEM certificate (BEGIN CERTIFICATE)")
      }
      guard option != "tlsCertificateKeyFile" || text.contains("PRIVATE KEY-----") else {
        throw MongoError(message: "\(option): \(path): contains no PEM private key beside the certificate")
      }
    }
  }

  // MARK: Authentication

  private static let mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "MONGODB-X509", "PLAIN", "GSSAPI", "MONGODB-AWS"]

  /// Rejects what ends the process in libmongoc 1.23 as soon as the database replies, and what no server accepts.
  private static func checkAuthentication(_ uri: OpaquePointer) throws(MongoError) {
    let mechanism = mechanism(uri)
    if let mechanism, !mechanisms.contains(mechanism) {
      throw MongoError(
        message: "authMechanism: \(mechanism) is not supported; use one of \(mechanisms.joined(separator: ", "))")
    }
    let isX509 = mechanism == "MONGODB-X509"
    if isX509, !mongoc_uri_get_tls(uri) || mongoc_uri_get_option_as_utf8(uri, "tlscertificatekeyfile", nil) == nil {
      throw MongoError(
        message: "authMechanism=MONGODB-X509 needs tls=true and tlsCertificateKeyFile, the file with the client's "
          + "certificate and key")
    }
    if mongoc_uri_get_username(uri) != nil, mongoc_uri_get_password(uri) == nil, !isX509, mechanism != "GSSAPI" {
      throw MongoError(message: "the user has no password; write mongodb://USER:PASSWORD@HOST")
    }
  }

  private static func mechanism(_ uri: OpaquePointer) -> String? {
    mongoc_uri_get_auth_mechanism(uri).map { String(cString: $0).uppercased() }
  }

  // MARK: Options

  /// Sets the time limits and the size of the pool.
  ///
  /// libmongoc interprets 0 as its own default, which for a reply is 5 minutes, and a negative time as no limit.
  ///
  /// - Returns: warnings about the settings of the URI that are replaced.
  private static func setLimits(_ uri: OpaquePointer) throws(MongoError) -> [String] {
    var warnings: [String] = []
    let times: [(String, Int32)] = [
      ("connectTimeoutMS", 5_000), ("serverSelectionTimeoutMS", 5_000), ("waitQueueTimeoutMS", 5_000),
      // A getMore is answered within a second, so a silence of 10 s means a dead connection.
      ("socketTimeoutMS", 10_000),
      // After an error of a primary that steps down, the driver selects no server until its monitor has received a
      // reply: up to 10 s by default.
      ("heartbeatFrequencyMS", 2_000),
    ]
    for (name, milliseconds) in times {
      let given = mongoc_uri_get_option_as_int32(uri, name, 0)
      if given < 0 { throw MongoError(message: "\(name)=\(given): must be a number of milliseconds above 0") }
      guard given == 0 else { continue }
      if mongoc_uri_has_option(uri, name) {
        warnings.append("\(name)=0: waiting without a limit is not supported; using \(milliseconds) ms")
      }
      mongoc_uri_set_option_as_int32(uri, name, milliseconds)
    }
    let reply = mongoc_uri_get_option_as_int32(uri, "sockettimeoutms", 0)
    if reply < 1000 {
      throw MongoError(
        message: "socketTimeoutMS=\(reply): must be at least 1000; a change stream replies every 250 ms")
    }
    for name in ["maxPoolSize", "minPoolSize", "socketCheckIntervalMS", "waitQueueMultiple", "maxIdleTimeMS"] {
      let given = mongoc_uri_get_option_as_int32(uri, name, 0)
      if given < 0 { throw MongoError(message: "\(name)=\(given): must be a whole number of at least 0") }
    }
    // A stream holds a client until it is closed: with fewer clients, the last cache would wait for ever. Other drivers
    // interpret 0 as no limit, but libmongoc as a pool of one.
    let clients = mongoc_uri_get_option_as_int32(uri, "maxpoolsize", 0)
    if clients > 0, clients < leastClients {
      warnings.append("maxPoolSize=\(clients): raised to \(leastClients), which change streams and reads need")
    }
    mongoc_uri_set_option_as_int32(uri, "maxpoolsize", clients == 0 ? manyClients : max(clients, leastClients))
    // libmongoc interprets this as the maximum number of idle clients.
    if mongoc_uri_has_option(uri, "minpoolsize") {
      warnings.append("minPoolSize is ignored: libmongoc takes it for the number of idle connections to keep")
      mongoc_uri_set_option_as_int32(uri, "minpoolsize", 0)
    }
    return warnings
  }

  /// Sets the read preference and the application name, and checks the concerns of the URI.
  ///
  /// - Returns: warnings about the settings of the URI that are replaced.
  private static func setPreferences(_ uri: OpaquePointer) throws(MongoError) -> [String] {
    var warnings: [String] = []
    if let concern = mongoc_uri_get_write_concern(uri), mongoc_write_concern_get_w(concern) == 0 {
      throw MongoError(message: "w=0: unacknowledged writes would count as done even when they fail; leave w out")
    }
    if let given = mongoc_uri_get_read_prefs_t(uri), mongoc_read_prefs_get_mode(given) != MONGOC_READ_PRIMARY {
      warnings.append("readPreference is ignored: change streams and reads always use the primary")
    }
    if let concern = mongoc_uri_get_read_concern(uri), let level = mongoc_read_concern_get_level(concern),
      String(cString: level) != "majority"
    {
      warnings.append("readConcernLevel is ignored: reads always use majority")
    }
    // Served data must not be rolled back, nor be older than the stream: both streams and reads use the primary.
    guard let primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY) else { throw MongoError(message: "out of memory") }
    defer { mongoc_read_prefs_destroy(primary) }
    mongoc_uri_set_read_prefs_t(uri, primary)
    if mechanism(uri) == "PLAIN", !mongoc_uri_get_tls(uri) {
      warnings.append("authMechanism=PLAIN without TLS sends the password in clear text; add tls=true")
    }
    if mongoc_uri_get_appname(uri) == nil { mongoc_uri_set_appname(uri, "config-lookup") }
    return warnings
  }
}
