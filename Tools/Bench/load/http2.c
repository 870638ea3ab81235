// SPDX-License-Identifier: Apache-2.0
// gRPC calls over cleartext HTTP/2, with prebuilt HEADERS and DATA. From the second call on, the header block consists
// of indexed fields, as with any client. A stream that ends is one reply, and its DATA bytes are counted. grpc-status
// is not decoded, so a real client checks the replies before. With `watch`, each message of a stream is one reply.
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

uint64_t http2_times[WINDOW_MAX];

// HEADERS and DATA of one call. The stream identifier is set for each call.
static struct request {
  uint8_t bytes[2048];
  size_t size, data_at;
} first_request, next_request;

static uint8_t *put_head(uint8_t *to, size_t size, int type, int flags, uint32_t stream) {
  const uint8_t head[9] = {size >> 16, size >> 8, size, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
  memcpy(to, head, sizeof head);
  return to + sizeof head;
}

static void put_number(uint8_t *to, uint32_t number) {
  for (int i = 0; i < 4; i++) to[i] = number >> (24 - 8 * i);
}

static uint32_t number_at(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static uint8_t *put_text(uint8_t *to, const char *text) {
  size_t size = strlen(text);
  *to++ = size;
  memcpy(to, text, size);
  return to + size;
}

static void make_request(struct request *r, const uint8_t *block, size_t block_size, const uint8_t *body, size_t size) {
  uint8_t *end = put_head(r->bytes, block_size, HEADERS, END_HEADERS, 0);
  memcpy(end, block, block_size);
  end += block_size;
  r->data_at = end - r->bytes;
  end = put_head(end, size, DATA, END_STREAM, 0);
  memcpy(end, body, size);
  r->size = end + size - r->bytes;
}

void http2_prepare(const char *body_file, const char *path, const char *authority) {
  uint8_t body[512], block[512], *end = block;
  FILE *file = fopen(body_file, "rb");
  if (!file) fail(body_file);
  size_t size = fread(body, 1, sizeof body, file);
  fclose(file);
  errno = 0;
  if (size < 5 || size == sizeof body || strlen(path) > 126 || strlen(authority) > 126) fail("a request too long");
  *end++ = 0x83;  // POST
  *end++ = 0x86;  // http
  *end++ = 0x44;  // These four are added to the dynamic table, to which the next calls refer.
  end = put_text(end, path);
  *end++ = 0x41;
  end = put_text(end, authority);
  *end++ = 0x5f;
  end = put_text(end, "application/grpc");
  *end++ = 0x40;
  end = put_text(put_text(end, "te"), "trailers");
  static const uint8_t again[] = {0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe};
  make_request(&first_request, block, end - block, body, size);
  make_request(&next_request, again, sizeof again, body, size);
}

static void queue(struct connection *c, const void *bytes, size_t size) {
  if (!c->pending_size) {
    c->pending = c->out;
    c->out_size = 0;
  }
  if (c->out_size + size > c->out_capacity) {
    size_t at = c->pending - c->out;
    c->out_capacity = (c->out_size + size) * 2;
    c->out = realloc(c->out, c->out_capacity);
    if (!c->out) fail("realloc");
    c->pending = c->out + at;
  }
  memcpy(c->out + c->out_size, bytes, size);
  c->out_size += size;
  c->pending_size += size;
}

static void queue_number(struct connection *c, int type, uint32_t stream, uint32_t number) {
  uint8_t frame[13];
  put_number(put_head(frame, 4, type, 0, stream), number);
  queue(c, frame, sizeof frame);
}

void http2_open(struct connection *c) {
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  uint8_t frame[15];
  if (!c->out) c->out = malloc(c->out_capacity = 65536);
  c->pending_size = 0;
  c->stream = 1;
  queue(c, preface, sizeof preface - 1);
  memcpy(put_head(frame, 6, SETTINGS, 0, 0), "\0\4\x3f\xff\xff\xff", 6);  // The windows of streams are 1 GiB.
  queue(c, frame, sizeof frame);
  queue_number(c, WINDOW_UPDATE, 0, 0x7fff0000);
}

void http2_send(struct connection *c, int count, uint64_t now) {
  for (int i = 0; i < count; i++, c->stream += 2) {
    struct request *r = c->stream == 1 ? &first_request : &next_request;
    put_number(r->bytes + 5, c->stream);
    put_number(r->bytes + r->data_at + 5, c->stream);
    queue(c, r->bytes, r->size);
    c->sent[(c->stream >> 1) % STREAM_SLOTS] = now;
    c->data[(c->stream >> 1) % STREAM_SLOTS] = 0;
  }
  c->outstanding += count;
  c->streams_opened += count;
  c->messages = c->message_left = c->prefix_size = 0;
  flush_connection(c);
}

// Opens the next stream of a watch, after the end of the previous one.
static void next_watch(struct connection *c, int is_open) {
  enum { CANCEL = 8 };
  if (is_open) queue_number(c, RST_STREAM, c->stream - 2, CANCEL);
  c->outstanding = 0;
  http2_send(c, 1, now_ns());
}

// Returns the number of messages that these bytes of DATA complete.
static int count_messages(struct connection *c, const uint8_t *bytes, size_t count) {
  int done = 0;
  for (size_t i = 0; i < count;) {
    if (c->message_left) {
      size_t part = count - i < c->message_left ? count - i : c->message_left;
      i += part;
      c->message_left -= part;
    } else {
      c->prefix[c->prefix_size++] = bytes[i++];
      if (c->prefix_size < 5) continue;
      c->message_left = number_at(c->prefix + 1);
    }
    if (c->prefix_size == 5 && !c->message_left) {
      c->prefix_size = 0;
      done++;
    }
  }
  return done;
}

// Handles a frame whose payload is complete. Returns the number of completed replies.
static int take_frame(struct connection *c) {
  int type = c->head[3], flags = c->head[4];
  uint32_t stream = number_at(c->head + 5) & 0x7fffffff, slot = (stream >> 1) % STREAM_SLOTS;
  if (type == DATA) {
    c->data[slot] += c->size;
    c->unacknowledged += c->size;
  }
  if (((type == DATA || type == HEADERS) && flags & END_STREAM) || type == RST_STREAM) {
    if (settings.watch >= 0) {
      if (stream != c->stream - 2) return 0;
      if (settings.watch > 0 || !c->messages || type != HEADERS) bad_replies++;
      next_watch(c, 0);
      return 0;
    }
    if (type == RST_STREAM) bad_replies++;
    check_size((long)c->data[slot] - 5);
    http2_times[0] = c->sent[slot];
    return 1;
  }
  if (type == SETTINGS && !(flags & ACK)) {
    uint8_t frame[9];
    put_head(frame, 0, SETTINGS, ACK, 0);
    queue(c, frame, sizeof frame);
  } else if (type == PING && !(flags & ACK)) {
    uint8_t frame[17];
    memcpy(put_head(frame, 8, PING, ACK, 0), c->body, 8);
    queue(c, frame, sizeof frame);
  } else if (type == GOAWAY) {
    errno = 0;
    fail("the server says GOAWAY");
  }
  return 0;
}

int http2_parse(struct connection *c, const uint8_t *bytes, size_t count) {
  int done = 0;
  for (size_t i = 0; i < count;) {
    if (c->head_size < 9) {
      size_t part = count - i < (size_t)(9 - c->head_size) ? count - i : (size_t)(9 - c->head_size);
      memcpy(c->head + c->head_size, bytes + i, part);
      i += part;
      if ((c->head_size += part) < 9) break;
      c->skip = c->size = (uint32_t)c->head[0] << 16 | c->head[1] << 8 | c->head[2];
    }
    size_t part = count - i < c->skip ? count - i : c->skip, at = c->size - c->skip;
    if (c->head[3] != DATA && at < sizeof c->body)
      memcpy(c->body + at, bytes + i, part < sizeof c->body - at ? part : sizeof c->body - at);
    if (c->head[3] == DATA && settings.watch >= 0 && (number_at(c->head + 5) & 0x7fffffff) == c->stream - 2) {
      int messages = count_messages(c, bytes + i, part);
      c->messages += messages;
      done += messages;
    }
    i += part;
    if (c->skip -= part) break;
    c->head_size = 0;
    uint64_t first = http2_times[0];
    if (take_frame(c)) {
      uint64_t sent = http2_times[0];
      http2_times[0] = first;
      if (done < WINDOW_MAX) http2_times[done] = sent;
      done++;
    }
    if (settings.watch > 0 && c->messages >= settings.watch) next_watch(c, 1);
  }
  if (c->unacknowledged > 1u << 24) {
    queue_number(c, WINDOW_UPDATE, 0, c->unacknowledged);
    c->unacknowledged = 0;
  }
  return done;
}
