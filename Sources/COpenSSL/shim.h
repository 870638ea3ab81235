// SPDX-License-Identifier: Apache-2.0
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

// Macros with arguments are not visible to Swift: these are what we use of them.

static const uint64_t configlookup_options =
    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;

static const uint64_t configlookup_ignore_cut = SSL_OP_IGNORE_UNEXPECTED_EOF;

static const int configlookup_bio_socket_type = BIO_TYPE_SOCKET;

static inline int configlookup_require_tls12(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

static inline void configlookup_set_mode(SSL_CTX *context) {
  SSL_CTX_set_mode(
      context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

static inline void configlookup_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }

static inline void configlookup_no_session_cache(SSL_CTX *context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static inline int configlookup_add_chain(SSL_CTX *context, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int configlookup_set_server_name(SSL *ssl, const char *name) {
  return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline int configlookup_reason(unsigned long code) { return ERR_GET_REASON(code); }

static inline int configlookup_is_end_of_pem(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static inline int configlookup_bio_descriptor(BIO *bio) {
  int descriptor = -1;
  BIO_get_fd(bio, &descriptor);
  return descriptor;
}

static inline long configlookup_bio_set_descriptor(BIO *bio, int descriptor) {
  return BIO_set_fd(bio, descriptor, BIO_NOCLOSE);
}

static inline void configlookup_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }

static inline void configlookup_bio_retry_write(BIO *bio) { BIO_set_retry_write(bio); }

static inline int configlookup_name_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }

static inline GENERAL_NAME *configlookup_name(const GENERAL_NAMES *names, int index) {
  return sk_GENERAL_NAME_value(names, index);
}
