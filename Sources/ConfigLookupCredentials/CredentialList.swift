// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import LookupService

/// The contents of a credentials file: a caller per line.
///
///     # name     proof                      permissions
///     ingest     sha256:<64 hex digits>     read:agent_config,prompt watch
///     operator   certificate:cn:ops         read watch admin
struct CredentialList: Sendable {
  private struct Credential: Sendable {
    let caller: RPCCaller
    let line: Int
  }

  private enum Proof: Sendable, Hashable {
    case token(TokenDigest)
    /// The bytes of a name in a client's certificate, with its kind. They are bytes, because equality of `String` is
    /// canonical equivalence, by which U+212A (Kelvin sign) equals K.
    case certificate([UInt8])
  }

  private var credentials: [Credential] = []
  /// The index in `credentials` of each proof. A digest is found by its hash, not in constant time: a caller cannot
  /// choose the digest of a token, so the time that this takes reveals nothing about other tokens.
  private var places: [Proof: Int] = [:]

  /// Parses the bytes of `file` by the rules of ``WrittenText``.
  ///
  /// - Throws: the first problem in them, with file, line and the way to correct it.
  init(_ bytes: [UInt8], file: String) throws(CredentialProblem) {
    let lines: [String]
    do throws(WrittenTextProblem) {
      lines = try WrittenText.lines(bytes)
    } catch {
      throw CredentialProblem("\(file): \(error)")
    }
    for (index, line) in lines.enumerated() {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard let first = words.first, !first.hasPrefix("#") else { continue }
      do throws(CredentialProblem) {
        try add(words, line: index + 1)
      } catch {
        throw CredentialProblem("\(file):\(index + 1): \(error.message)")
      }
    }
    if credentials.isEmpty {
      throw CredentialProblem("\(file): contains no credential; write a line NAME sha256:DIGEST PERMISSION...")
    }
  }

  var count: Int { credentials.count }

  private mutating func add(_ words: [Substring], line: Int) throws(CredentialProblem) {
    guard words.count >= 3 else {
      throw CredentialProblem(
        "write NAME sha256:DIGEST PERMISSION..., or NAME certificate:KIND:NAME PERMISSION...")
    }
    let isName = words[0].utf8.count <= CredentialLimits.nameBytes && words[0].utf8.allSatisfy(isNameByte)
    guard isName else {
      throw CredentialProblem(
        "the name must have at most \(CredentialLimits.nameBytes) letters, digits and . _ - @ / :")
    }
    let proof = try Self.proof(words[1])
    if let other = places[proof] {
      throw CredentialProblem("the same \(words[1].prefix { $0 != ":" }) as in line \(credentials[other].line)")
    }
    var permissions: Set<RPCPermission> = []
    for word in words.dropFirst(2) {
      guard let named = RPCPermission.permissions(called: word) else {
        throw CredentialProblem("\(word): unknown permission; use \(RPCPermission.words)")
      }
      permissions.formUnion(named)
    }
    if permissions.contains(.watch), permissions.isSubset(of: [.watch, .admin]) {
      throw CredentialProblem("watch: needs read as well, which sets what can be watched")
    }
    places[proof] = credentials.count
    credentials.append(Credential(caller: RPCCaller(name: String(words[0]), permissions: permissions), line: line))
  }

  private static func proof(_ word: Substring) throws(CredentialProblem) -> Proof {
    if word.hasPrefix("sha256:") {
      // The word is not repeated in a message: it may be the token itself.
      guard let digest = TokenDigest(hexadecimal: word.dropFirst(7)) else {
        throw CredentialProblem("sha256: must be followed by 64 hexadecimal digits: printf %s TOKEN | sha256sum")
      }
      return .token(digest)
    }
    let parts = word.split(separator: ":", maxSplits: 2)
    let kinds = CertificateName.Kind.allCases.map(\.rawValue)
    guard parts.count == 3, parts[0] == "certificate", kinds.contains(String(parts[1])) else {
      throw CredentialProblem(
        "the second word must be sha256:DIGEST or certificate:KIND:NAME, with a KIND of "
          + kinds.joined(separator: ", "))
    }
    return .certificate(Array("\(parts[1]):\(parts[2])".utf8))
  }

  /// The caller that a token authenticates; nil for an unknown token. Takes the same time for one credential as for ten
  /// thousand.
  func caller(token: [UInt8]) -> RPCCaller? {
    places[.token(TokenDigest(of: token))].map { credentials[$0].caller }
  }

  /// The caller that a certificate with these names authenticates, the first in the file; nil if there is none.
  func caller(certificateNames names: [String]) -> RPCCaller? {
    names.compactMap { places[.certificate(Array($0.utf8))] }.min().map { credentials[$0].caller }
  }
}

private func isNameByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "@"),
    UInt8(ascii: "/"), UInt8(ascii: ":"):
    true
  default: false
  }
}
