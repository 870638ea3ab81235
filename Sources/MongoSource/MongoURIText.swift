// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ConfigLookupCore

/// The text of a connection string, parsed far enough to validate what libmongoc does not.
struct MongoURIText {
  let text: String
  /// The names and values of the options as written, in order.
  private let options: [(name: String, value: String)]
  /// Secrets that must not appear in any message.
  private let secrets: [String]

  static let percentEncoding = MongoError(
    message: "user and password must be percent-encoded (an at sign is %40, a colon %3A, a slash %2F)")

  /// Parses a connection string by the rule of ``WrittenText``.
  ///
  /// - Throws: an error that describes the problem, without any part of the text that may be a secret.
  init(reading unread: String) throws(MongoError) {
    do throws(WrittenTextProblem) {
      text = try WrittenText.value(unread)
    } catch {
      throw MongoError(message: error.description)
    }
    guard let scheme = ["mongodb://", "mongodb+srv://"].first(where: text.hasPrefix) else {
      throw MongoError(message: "it must begin with mongodb:// or mongodb+srv://")
    }
    let rest = text.dropFirst(scheme.count)
    let authority = rest.prefix { $0 != "/" }
    let path = rest.dropFirst(authority.count).prefix { $0 != "?" }
    // An @ that does not end the user information belongs to a password, which must not be taken for a host or a
    // database.
    guard authority.count(where: { $0 == "@" }) < 2, !path.contains("@") else { throw Self.percentEncoding }
    var secrets: [String] = []
    if let end = authority.firstIndex(of: "@"), let colon = authority[..<end].firstIndex(of: ":") {
      secrets.append(String(authority[authority.index(after: colon)..<end]))
    }
    var options: [(name: String, value: String)] = []
    let query = rest.dropFirst(authority.count + path.count + 1)
    // One & at the end is accepted, as libmongoc accepts it.
    let pairs = (query.hasSuffix("&") ? query.dropLast() : query).split(
      separator: "&", omittingEmptySubsequences: false)
    for pair in pairs where !query.isEmpty {
      guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
        throw MongoError(
          message: "an option has no name or no value; write options as NAME=VALUE, separated by &"
            + (options.last.map { ", after \($0.name)" } ?? ""))
      }
      let (name, value) = (String(pair[..<equals]), String(pair[pair.index(after: equals)...]))
      if Self.secretOptions.contains(name.lowercased()) { secrets.append(value) }
      options.append((name, value))
    }
    for (name, value) in options where value.isEmpty && Self.known(name) != nil {
      throw MongoError(message: "\(name) is empty; give it a value, or leave it out")
    }
    self.options = options
    // Shorter secrets are not removed from messages, because they occur in too many words.
    self.secrets = secrets.filter { $0.count >= 4 }
  }

  /// Parses the text by libmongoc. Returns the URI, which the caller owns, and what libmongoc would log about it.
  func parse() throws(MongoError) -> (OpaquePointer, [String]) {
    _ = MongoLibrary.started
    var error = bson_error_t()
    let (uri, lines) = MongoLibrary.withWarnings { mongoc_uri_new_with_error(text, &error) }
    if let uri { return (uri, lines) }
    // libmongoc's message contains a user name or a password that it cannot decode.
    let message = MongoError(error).message
    guard !message.hasPrefix("Password"), !message.hasPrefix("Username") else { throw Self.percentEncoding }
    throw MongoError(message: withoutSecrets(message))
  }

  /// Returns a message of libmongoc, which may contain the value of an option, without secrets.
  func withoutSecrets(_ message: String) -> String {
    var message = message
    for secret in secrets {
      message = message.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
    }
    return message
  }

  /// Returns a warning for a line that libmongoc would log.
  func warning(of line: String, isEncrypted: Bool) -> String {
    let words = line.split(separator: "\"", omittingEmptySubsequences: false)
    guard line.hasPrefix("Unsupported URI option"), words.count == 3 else { return withoutSecrets(line) }
    let name = options.first { $0.name.lowercased() == words[1] }?.name ?? String(words[1])
    let near = nearestName(to: name, among: Self.names).map { " (did you mean \($0)?)" } ?? ""
    let isAboutTLS = name.lowercased().hasPrefix("tls") || name.lowercased().hasPrefix("ssl")
    return "\(name): no such option; it is ignored\(near)"
      + (isAboutTLS && !isEncrypted ? "; connections to the database are not encrypted" : "")
  }

  private static func known(_ name: String) -> String? {
    names.first { $0.lowercased() == name.lowercased() }
  }

  private static let secretOptions: Set = [
    "authmechanismproperties", "tlscertificatekeyfilepassword", "sslclientcertificatekeypassword",
  ]

  /// The options of libmongoc 1.23: https://mongoc.org/libmongoc/1.23.1/mongoc_uri_t.html
  private static let names = [
    "appname", "authMechanism", "authMechanismProperties", "authSource", "canonicalizeHostname", "compressors",
    "connectTimeoutMS", "directConnection", "gssapiServiceName", "heartbeatFrequencyMS", "journal", "loadBalanced",
    "localThresholdMS", "maxIdleTimeMS", "maxPoolSize", "maxStalenessSeconds", "minPoolSize", "readConcernLevel",
    "readPreference", "readPreferenceTags", "replicaSet", "retryReads", "retryWrites", "serverSelectionTimeoutMS",
    "serverSelectionTryOnce", "socketCheckIntervalMS", "socketTimeoutMS", "srvMaxHosts", "srvServiceName", "ssl",
    "sslAllowInvalidCertificates", "sslAllowInvalidHostnames", "sslCertificateAuthorityFile",
    "sslClientCertificateKeyFile", "sslClientCertificateKeyPassword", "tls", "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames", "tlsCAFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword",
    "tlsDisableCertificateRevocationCheck", "tlsDisableOCSPEndpointCheck", "tlsInsecure", "w", "waitQueueMultiple",
    "waitQueueTimeoutMS", "wTimeoutMS", "zlibCompressionLevel",
  ]
}
