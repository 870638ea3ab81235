// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import Glibc

/// The TLS library's own socket BIO with one difference: a write to a closed connection is an error, and not a signal
/// that ends the process.
enum SocketBIO {
  /// The BIO method, which is created once and never changed. Nil if there is no memory.
  private nonisolated(unsafe) static let method = make()

  /// Creates a BIO for `descriptor`, which the caller continues to own. Nil if there is no memory.
  static func new(_ descriptor: Int32) -> OpaquePointer? {
    guard let method, let bio = BIO_new(method) else { return nil }
    _ = configlookup_bio_set_descriptor(bio, descriptor)
    return bio
  }

  private static func make() -> OpaquePointer? {
    guard let plain = BIO_s_socket(), let method = BIO_meth_new(configlookup_bio_socket_type, "socket") else {
      return nil
    }
    BIO_meth_set_read(method, BIO_meth_get_read(plain))
    BIO_meth_set_ctrl(method, BIO_meth_get_ctrl(plain))
    BIO_meth_set_create(method, BIO_meth_get_create(plain))
    BIO_meth_set_destroy(method, BIO_meth_get_destroy(plain))
    BIO_meth_set_write(method, socketWrite)
    return method
  }
}

private func socketWrite(_ bio: OpaquePointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int32) -> Int32 {
  configlookup_bio_clear_retry(bio)
  let sent = send(configlookup_bio_descriptor(bio), bytes, Int(count), Int32(MSG_NOSIGNAL))
  if sent < 0, errno == EAGAIN || errno == EINTR { configlookup_bio_retry_write(bio) }
  return Int32(sent)
}
