// What the parts of the load generator share.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum protocol { FRAMED, RESP, MEMCACHED, HTTP2 };

// Requests whose replies have not come, at most, on one connection.
enum { WINDOW_MAX = 4096, STREAM_SLOTS = 8192 };

struct connection {
  int descriptor;
  int outstanding;
  // What is still to be written, and whether the socket is watched for room.
  const uint8_t *pending;
  size_t pending_size;
  int watches_room;
  // Send times of what is outstanding, oldest at `oldest`; HTTP/2: by stream.
  uint64_t *sent;
  int oldest;
  // The next request of the file.
  int next;

  // The parser of replies.
  uint64_t skip, size;
  int head_size, in_value;
  uint8_t head[64], body[64];

  // HTTP/2.
  uint32_t stream;
  uint64_t unacknowledged;
  uint32_t *data;
  uint8_t *out;
  size_t out_size, out_capacity;
  // The watch: streams opened, and in the one that is open now: messages, bytes still to skip, bytes of the prefix.
  uint32_t streams_opened, messages, message_left, prefix_size;
  uint8_t prefix[5];
};

struct settings {
  enum protocol protocol;
  int connections, depth;
  // A reply's payload has exactly, or at least, so many bytes. Negative: any.
  long expected, at_least;
  // HTTP/2: read streams of so many messages; 0: until the server ends them. Negative: unary calls.
  long watch;
};

extern struct settings settings;
extern uint64_t bad_replies;
// HTTP/2: send times of the replies that http2_parse has just completed.
extern uint64_t http2_times[WINDOW_MAX];

uint64_t now_ns(void);
_Noreturn void fail(const char *what);
// Writes what is pending; what does not fit follows when there is room.
void flush_connection(struct connection *);

// A reply's payload has this size: counts it as bad if it must not.
static inline void check_size(long size) {
  if ((settings.expected >= 0 && size != settings.expected) || size < settings.at_least) bad_replies++;
}

// Replies completed by these bytes.
int text_parse(struct connection *, const uint8_t *, size_t);
int http2_parse(struct connection *, const uint8_t *, size_t);

void http2_prepare(const char *body_file, const char *path, const char *authority);
void http2_open(struct connection *);
// Opens so many streams.
void http2_send(struct connection *, int count, uint64_t now);
