// SPDX-License-Identifier: Apache-2.0
import ConfigLookupTLS
import Foundation
import TestSupport
import Testing

/// Tests that an error names the file and its problem.
@Suite struct TLSFilesTests {
  @Test func eachMistakeIsNamed() throws {
    try withAuthority { authority throws in
      let (good, other) = (authority.server, try authority.authority.issueServer())
      let encrypted = authority.folder.appendingPathComponent("encrypted.key").path
      try TestAuthority.openssl(["pkey", "-in", good.key, "-aes256", "-passout", "pass:s3cret", "-out", encrypted])
      let nothing = authority.folder.appendingPathComponent("nothing.pem").path
      try "no PEM\n".write(toFile: nothing, atomically: true, encoding: .utf8)
      let broken = authority.folder.appendingPathComponent("broken.pem").path
      try
        (String(contentsOfFile: good.certificate, encoding: .utf8)
        + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        .write(toFile: broken, atomically: true, encoding: .utf8)
      let missing = authority.folder.appendingPathComponent("missing.pem").path
      for (certificate, key, authorities, subject, words) in [
        (missing, good.key, nil, TLSError.Subject.certificate, "No such file"),
        (authority.folder.path, good.key, nil, .certificate, "is a directory"),
        (nothing, good.key, nil, .certificate, "contains no certificate"),
        (good.key, good.key, nil, .certificate, "contains no certificate"),
        (broken, good.key, nil, .certificate, "certificate 2"),
        (good.certificate, missing, nil, .key, "No such file"),
        (good.certificate, nothing, nil, .key, "no private key"),
        (good.certificate, good.certificate, nil, .key, "no private key"),
        (good.certificate, other.key, nil, .key, "does not belong to the certificate"),
        (good.certificate, encrypted, nil, .key, "encrypted"),
        (good.certificate, good.key, missing, .authorities, "No such file"),
        (good.certificate, good.key, nothing, .authorities, "contains no certificate"),
      ] as [(String, String, String?, TLSError.Subject, String)] {
        let files = TLSFiles(certificate: certificate, key: key, authorities: authorities)
        let error = #expect(throws: TLSError.self) { try TLSContext(server: files, protocols: []) }
        #expect(error?.subject == subject && error?.message.contains(words) == true, "\(error as Any)")
      }
    }
  }

  @Test func aCertificateThatExpiredIsTakenAndWarnedOf() throws {
    try withAuthority { authority throws in
      let pair = try authority.authority.issueServer(days: -1)
      let late = try TLSContext(server: TLSFiles(certificate: pair.certificate, key: pair.key), protocols: [])
      #expect(late.warnings.count == 1 && late.warnings[0].contains("expired on 20"))
      let good = TLSFiles(certificate: authority.server.certificate, key: authority.server.key)
      let fresh = try TLSContext(server: good, protocols: [])
      #expect(fresh.warnings.isEmpty)
    }
  }

  @Test func aBadPairIsRefusedAndTheOldOneStays() throws {
    try withAuthority { authority throws in
      let pair = authority.server
      let server = try TLSServer(TLSFiles(certificate: pair.certificate, key: pair.key), protocols: [])
      let before = server.context
      try FileManager.default.removeItem(atPath: pair.key)
      #expect(throws: TLSError.self) { try server.reload() }
      #expect(server.context === before)
      let new = try authority.authority.issueServer()
      for (old, new) in [(pair.certificate, new.certificate), (pair.key, new.key)] {
        try Data(contentsOf: URL(fileURLWithPath: new)).write(to: URL(fileURLWithPath: old))
      }
      try server.reload()
      #expect(server.context !== before)
    }
  }
}
