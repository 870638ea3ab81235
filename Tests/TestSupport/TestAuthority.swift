// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A certificate authority for one test, in a folder of the test. It uses the `openssl` command.
public struct TestAuthority: Sendable {
  /// The PEM files of a certificate and its key.
  public struct Pair: Sendable {
    /// The path of the certificate.
    public let certificate: String
    /// The path of the key.
    public let key: String
  }

  private let folder: URL
  private let own: Pair

  /// The path of the authority's certificate.
  public var certificate: String { own.certificate }

  /// Creates an authority with a self-signed certificate.
  ///
  /// - Parameters:
  ///   - folder: the folder for all files.
  ///   - name: the common name.
  /// - Throws: ``TestFailure`` if `openssl` fails.
  public init(_ folder: URL, _ name: String = "authority") throws {
    self.folder = folder
    own = Pair(certificate: Self.path(folder, name, "pem"), key: Self.path(folder, name, "key"))
    try Self.openssl(
      ["req", "-x509", "-subj", "/CN=\(name)", "-days", "2", "-out", own.certificate] + Self.newKey(own.key))
  }

  private init(folder: URL, own: Pair) {
    self.folder = folder
    self.own = own
  }

  /// Issues a certificate.
  ///
  /// - Parameters:
  ///   - name: the common name.
  ///   - alternatives: the alternative names, e.g. `DNS:localhost`.
  ///   - days: the validity in days; -1 for an expired certificate.
  /// - Returns: the files.
  /// - Throws: ``TestFailure`` if `openssl` fails.
  public func issue(_ name: String, _ alternatives: [String] = [], days: Int = 1) throws -> Pair {
    let names = alternatives.joined(separator: ",")
    return try issue(name, days: days, extensions: names.isEmpty ? "" : "subjectAltName=\(names)\n")
  }

  /// Issues a certificate.
  ///
  /// - Parameter text: the extensions as a section of OpenSSL's configuration.
  private func issue(_ name: String, days: Int = 1, extensions text: String) throws -> Pair {
    let file = "\(name)-\(UUID().uuidString.prefix(8))"
    let pair = Pair(certificate: Self.path(folder, file, "pem"), key: Self.path(folder, file, "key"))
    let request = Self.path(folder, file, "csr")
    try Self.openssl(["req", "-subj", "/CN=\(name)", "-out", request] + Self.newKey(pair.key))
    var arguments = ["x509", "-req", "-in", request, "-CA", own.certificate, "-CAkey", own.key, "-CAcreateserial"]
    arguments += ["-CAserial", Self.path(folder, file, "srl"), "-days", "\(days)", "-out", pair.certificate]
    if !text.isEmpty {
      let extensions = Self.path(folder, file, "ext")
      try text.write(toFile: extensions, atomically: true, encoding: .utf8)
      arguments += ["-extfile", extensions]
    }
    try Self.openssl(arguments)
    return pair
  }

  /// Issues the certificate of an intermediate authority.
  ///
  /// - Parameter name: the common name.
  /// - Returns: the authority.
  /// - Throws: ``TestFailure`` if `openssl` fails.
  public func issueAuthority(_ name: String) throws -> TestAuthority {
    let pair = try issue(name, extensions: "basicConstraints=critical,CA:TRUE\n")
    return TestAuthority(folder: folder, own: pair)
  }

  /// Issues a certificate for a server on loopback.
  ///
  /// - Parameter days: the validity in days; -1 for an expired certificate.
  /// - Returns: the files.
  /// - Throws: ``TestFailure`` if `openssl` fails.
  public func issueServer(days: Int = 1) throws -> Pair {
    try issue("server", ["DNS:localhost", "IP:127.0.0.1"], days: days)
  }

  private static func newKey(_ path: String) -> [String] {
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]
  }

  private static func path(_ folder: URL, _ name: String, _ kind: String) -> String {
    folder.appendingPathComponent("\(name).\(kind)").path
  }

  /// Runs the `openssl` command.
  ///
  /// - Parameter arguments: the arguments.
  /// - Returns: the lines of standard output.
  /// - Throws: ``TestFailure`` if the command fails.
  @discardableResult
  public static func openssl(_ arguments: [String]) throws -> [String] {
    try ChildProcess.run("/usr/bin/env", ["openssl"] + arguments)
  }
}
