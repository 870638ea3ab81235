// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import ConfigLookupCore

/// The contents of a PEM file.
struct PEMFile {
  private let path: String
  private let subject: TLSError.Subject
  private let bytes: [UInt8]

  init(_ path: String, _ subject: TLSError.Subject) throws(TLSError) {
    self.path = path
    self.subject = subject
    do throws(FileProblem) {
      // OpenSSL accepts every kind of line end, but no byte order mark before BEGIN.
      bytes = Array(WrittenText.withoutByteOrderMark(try readSmallFile(path)))
    } catch {
      throw TLSError(subject, "\(path): \(error); give a PEM file that the server's user can read")
    }
  }

  /// The certificates in the file, at least one. The caller must free them.
  func certificates() throws(TLSError) -> [OpaquePointer] {
    var result: [OpaquePointer] = []
    let problem: String? = withBIO { bio in
      while let certificate = PEM_read_bio_X509(bio, nil, refusePassphrase, nil) { result.append(certificate) }
      let code = ERR_peek_last_error()
      return configlookup_is_end_of_pem(code) == 1 ? nil : libraryMessage(code)
    }
    if let problem {
      for certificate in result { X509_free(certificate) }
      throw TLSError(subject, "\(path): certificate \(result.count + 1) cannot be read: \(problem)")
    }
    if result.isEmpty {
      throw TLSError(subject, "\(path): contains no certificate; give a PEM file with BEGIN CERTIFICATE")
    }
    return result
  }

  /// The private key in the file. The caller must free it.
  func privateKey() throws(TLSError) -> OpaquePointer {
    var wantsPassphrase = false
    let key = withBIO { bio in
      withUnsafeMutablePointer(to: &wantsPassphrase) { PEM_read_bio_PrivateKey(bio, nil, refusePassphrase, $0) }
    }
    if let key { return key }
    if wantsPassphrase {
      throw TLSError(
        subject, "\(path): the key is encrypted, and passphrases are not supported; decrypt it with openssl pkey")
    }
    throw TLSError(subject, "\(path): contains no private key; give a PEM file with BEGIN PRIVATE KEY")
  }

  private func withBIO<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
    bytes.withUnsafeBytes { buffer in
      let bio = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count))
      defer {
        BIO_free(bio)
        ERR_clear_error()
      }
      ERR_clear_error()
      return body(bio)
    }
  }
}

/// Records that a passphrase is needed. There is none.
private func refusePassphrase(
  _: UnsafeMutablePointer<CChar>?, _: Int32, _: Int32, _ wanted: UnsafeMutableRawPointer?
) -> Int32 {
  wanted?.assumingMemoryBound(to: Bool.self).pointee = true
  return -1
}
