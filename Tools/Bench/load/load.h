// SPDX-License-Identifier: Apache-2.0
// Declarations that the files of the load generator share.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum protocol { FRAMED, RESP, MEMCACHED, HTTP2 };

// The maximum number of outstanding requests on one connection.
enum { WINDOW_MAX = 4096, STREAM_SLOTS = 8192 };

struct connection {
  int descriptor;
  int outstanding;
  // The bytes that are still to be written, and whether the socket is polled for writability.
  const uint8_t *pending;
  size_t pending_size;
  int watches_room;
  // The send times of the outstanding requests, the oldest at `oldest`; with HTTP/2 by stream.
  uint64_t *sent;
  int oldest;
  // The index of the next request in the file.
  int next;

  // The state of the parser of replies.
  uint64_t skip, size;
  int head_size, in_value;
  uint8_t head[64], body[64];

  // The state of HTTP/2.
  uint32_t stream;
  uint64_t unacknowledged;
  uint32_t *data;
  uint8_t *out;
  size_t out_size, out_capacity;
  // The state of the watch: the number of opened streams, and of the open one the number of messages, the bytes left of
  // the current message, and the bytes of its prefix.
  uint32_t streams_opened, messages, message_left, prefix_size;
  uint8_t prefix[5];
};

struct settings {
  enum protocol protocol;
  int connections, depth;
  // The exact and the minimum size of a reply's payload in bytes. Negative: any size.
  long expected, at_least;
  // HTTP/2: the number of messages to read from each stream. 0: until the server ends it. Negative: unary calls.
  long watch;
};

extern struct settings settings;
extern uint64_t bad_replies;
// HTTP/2: the send times of the requests whose replies the last http2_parse completed.
extern uint64_t http2_times[WINDOW_MAX];

uint64_t now_ns(void);
_Noreturn void fail(const char *what);
// Writes the pending bytes. The rest is written when the socket is writable again.
void flush_connection(struct connection *);

// Counts a reply as bad if its payload has an unexpected size.
static inline void check_size(long size) {
  if ((settings.expected >= 0 && size != settings.expected) || size < settings.at_least) bad_replies++;
}

// Return the number of replies that these bytes complete.
int text_parse(struct connection *, const uint8_t *, size_t);
int http2_parse(struct connection *, const uint8_t *, size_t);

void http2_prepare(const char *body_file, const char *path, const char *authority);
void http2_open(struct connection *);
// Opens `count` streams.
void http2_send(struct connection *, int count, uint64_t now);
