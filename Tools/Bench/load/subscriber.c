// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "subscriber.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

// A connection, with the read bytes of an incomplete frame. It is small, so that ten thousand of them use little
// memory.
struct subscriber {
  int descriptor, is_http2, rest_size;
  uint8_t rest[2048];
};

static int poller = -1;

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

void open_subscribers(int port, int is_http2, int count, const uint8_t *request, int request_size) {
  poller = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < count; i++) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct subscriber *s = calloc(1, sizeof *s);
    s->is_http2 = is_http2;
    s->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(s->descriptor, (struct sockaddr *)&address, sizeof address)) fail("connect");
    if (send(s->descriptor, request, request_size, MSG_NOSIGNAL) != request_size) fail("send");
    fcntl(s->descriptor, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, s->descriptor, &event)) fail("epoll_ctl");
  }
}

static void take_notice(const uint8_t *bytes, size_t size, int64_t now, notice_function note) {
  struct field f = {0};
  const uint8_t *end = bytes + size;
  const char *key = "";
  int kind = 0, key_size = 0;
  while (take_field(&bytes, end, &f)) {
    if (f.number == 1) kind = f.value;
    if (f.number == 3 && f.bytes) {
      key = (const char *)f.bytes;
      key_size = f.value;
    }
  }
  note(kind, key, key_size, now);
}

static uint32_t number_at(const uint8_t *bytes, int size) {
  uint32_t number = 0;
  for (int i = 0; i < size; i++) number = number << 8 | bytes[i];
  return number;
}

// Handles a frame of the framed protocol: field 3 is the reply, and its field 4 is the payload.
static void take_frame(const uint8_t *bytes, size_t size, int64_t now, notice_function note) {
  size_t reply_size = 0, payload_size = 0;
  const uint8_t *reply = find_bytes(bytes, bytes + size, 3, &reply_size);
  const uint8_t *payload = reply ? find_bytes(reply, reply + reply_size, 4, &payload_size) : NULL;
  errno = 0;
  if (!payload) fail("a frame that is no notice");
  take_notice(payload, payload_size, now, note);
}

static void take_http2(
    struct subscriber *s, const uint8_t *head, const uint8_t *payload, size_t size, int64_t now, notice_function note) {
  enum { DATA = 0, SETTINGS = 4, PING = 6, GOAWAY = 7 };
  uint8_t answer[17] = {0, 0, 0, head[3], 1};
  errno = 0;
  if (head[3] == DATA) {
    for (size_t at = 0; at + 5 <= size; at += 5 + number_at(payload + at + 1, 4))
      take_notice(payload + at + 5, number_at(payload + at + 1, 4), now, note);
  } else if (head[3] == SETTINGS && !(head[4] & 1)) {
    if (send(s->descriptor, answer, 9, MSG_NOSIGNAL) != 9) fail("send");
  } else if (head[3] == PING && !(head[4] & 1)) {
    answer[2] = 8;
    memcpy(answer + 9, payload, 8);
    if (send(s->descriptor, answer, 17, MSG_NOSIGNAL) != 17) fail("send");
  } else if (head[3] == GOAWAY) {
    fail("the server says GOAWAY");
  }
}

static void read_one(struct subscriber *s, int64_t now, notice_function note) {
  static uint8_t buffer[sizeof s->rest + 64 * 1024];
  memcpy(buffer, s->rest, s->rest_size);
  ssize_t got = recv(s->descriptor, buffer + s->rest_size, sizeof buffer - s->rest_size, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) fail("recv");
  errno = 0;
  if (got == 0) fail("the server closed a subscriber's connection");
  size_t size = s->rest_size + got, at = 0, head = s->is_http2 ? 9 : 4;
  while (size - at >= head) {
    size_t length = number_at(buffer + at, s->is_http2 ? 3 : 4);
    if (size - at < head + length) break;
    if (s->is_http2) take_http2(s, buffer + at, buffer + at + head, length, now, note);
    else take_frame(buffer + at + head, length, now, note);
    at += head + length;
  }
  errno = 0;
  if (size - at > sizeof s->rest) fail("a notice too long");
  s->rest_size = size - at;
  memcpy(s->rest, buffer + at, s->rest_size);
}

void read_subscribers(int milliseconds, notice_function note) {
  struct epoll_event events[256];
  int count = epoll_wait(poller, events, 256, milliseconds);
  if (count < 0 && errno != EINTR) fail("epoll_wait");
  for (int i = 0; i < count; i++) read_one(events[i].data.ptr, now_ns(), note);
}
