// SPDX-License-Identifier: Apache-2.0
// load: keeps --depth requests in flight on each of --connections connections, and measures the replies.
//
// It has one thread. After replies were read, the same number of requests is sent, in one write. The file of requests
// is a sequence of frames, each with a length (4 bytes, big-endian) and that number of bytes. Every connection begins
// at a different position in it. `framed` sends the frames unchanged; `resp` and `memcached` omit the length; for `h2`
// the file is one gRPC message.
//
// A latency is measured from just before the write of the request to just after the read that completed the reply. With
// --rate, that number of requests is due per second, one is in flight at a time, and a latency is measured from the
// time when the request was due. With --pid, the CPU time of that process is read at the start and at the end. Prints
// one line of JSON.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

struct settings settings = {.connections = 1, .depth = 1, .expected = -1, .at_least = 0, .watch = -1};
uint64_t bad_replies;

static const char *requests_file, *path = "/peer.v1.Lookup/Get";
static int port, poller;
static double seconds = 2, warmup_seconds = 0.5, rate;
static uint64_t due;
static long server_pid;
static struct sockaddr_in address;

// All requests. The first ones are repeated at the end, so that any `depth` consecutive requests are contiguous bytes.
static uint8_t *requests;
static size_t *request_at;
static int request_count;

static struct histogram times;
static uint64_t replies;

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

static uint8_t *read_file(const char *name, size_t *size) {
  FILE *file = fopen(name, "rb");
  if (!file || fseek(file, 0, SEEK_END)) fail(name);
  *size = ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*size + 1);
  if (!bytes || fread(bytes, 1, *size, file) != *size) fail(name);
  fclose(file);
  return bytes;
}

static void load_requests(void) {
  size_t size, at = 0, used = 0;
  uint8_t *file = read_file(requests_file, &size);
  size_t prefix = settings.protocol == FRAMED ? 0 : 4;
  size_t *starts = malloc(sizeof *starts * (size / 4 + 2));
  errno = 0;
  while (at + 4 <= size) {
    starts[request_count++] = at;
    at += 4 + ((size_t)file[at] << 24 | file[at + 1] << 16 | file[at + 2] << 8 | file[at + 3]);
  }
  if (at != size || !request_count) fail("the file of requests is no run of whole frames");
  starts[request_count] = size;
  int total = request_count + settings.depth;
  requests = malloc(size * (1 + settings.depth / request_count + 1));
  request_at = malloc(sizeof *request_at * (total + 1));
  for (int i = 0; i < total; i++) {
    size_t from = starts[i % request_count] + prefix, length = starts[i % request_count + 1] - from;
    request_at[i] = used;
    memcpy(requests + used, file + from, length);
    used += length;
  }
  request_at[total] = used;
  free(file);
  free(starts);
}

void flush_connection(struct connection *c) {
  while (c->pending_size) {
    ssize_t count = send(c->descriptor, c->pending, c->pending_size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) fail("send");
    c->pending += count;
    c->pending_size -= count;
  }
  int wants_room = c->pending_size > 0;
  if (wants_room == c->watches_room) return;
  struct epoll_event event = {.events = EPOLLIN | (wants_room ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->descriptor, &event);
  c->watches_room = wants_room;
}

static void send_requests(struct connection *c, int count, uint64_t now) {
  if (settings.protocol == HTTP2) {
    http2_send(c, count, now);
    return;
  }
  for (int i = 0; i < count; i++) c->sent[(c->oldest + c->outstanding + i) % settings.depth] = now;
  c->outstanding += count;
  // If the last write was partial, its rest and these requests are contiguous bytes, too.
  if (!c->pending_size) c->pending = requests + request_at[c->next];
  c->pending_size += request_at[c->next + count] - request_at[c->next];
  c->next = (c->next + count) % request_count;
  flush_connection(c);
}

static void open_connection(struct connection *c) {
  int one = 1;
  c->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->descriptor < 0 || connect(c->descriptor, (struct sockaddr *)&address, sizeof address)) fail("connect");
  setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->descriptor, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, c->descriptor, &event)) fail("epoll_ctl");
  if (settings.protocol == HTTP2) http2_open(c);
  if (!rate) send_requests(c, settings.depth, now_ns());
}

// Reconnects, because a watch that resets many streams on one connection would be treated as an attack.
static void renew_connection(struct connection *c) {
  close(c->descriptor);
  c->pending_size = c->head_size = c->skip = c->outstanding = c->watches_room = c->streams_opened = 0;
  c->unacknowledged = 0;
  open_connection(c);
}

static void take_replies(struct connection *c, int is_measuring) {
  static uint8_t buffer[256 * 1024];
  enum { STREAMS_MAX = 200 };
  ssize_t count = recv(c->descriptor, buffer, sizeof buffer, 0);
  uint64_t now = now_ns();
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) fail("recv");
  errno = 0;
  if (count == 0) fail("the server closed the connection");
  int is_http2 = settings.protocol == HTTP2;
  int done = is_http2 ? http2_parse(c, buffer, count) : text_parse(c, buffer, count);
  if (is_measuring) replies += done;
  if (settings.watch >= 0) {
    if (c->streams_opened > STREAMS_MAX) renew_connection(c);
    flush_connection(c);
    return;
  }
  if (!done) {
    flush_connection(c);
    return;
  }
  if (done > c->outstanding) fail("more replies than requests");
  for (int i = 0; is_measuring && i < done; i++)
    histogram_add(&times, now - (is_http2 ? http2_times[i] : c->sent[(c->oldest + i) % settings.depth]));
  c->oldest = (c->oldest + done) % settings.depth;
  c->outstanding -= done;
  if (!rate) send_requests(c, done, now_ns());
}

// Waits until the next request is due, and sends it. Its latency counts from the due time.
static void send_when_due(struct connection *c) {
  if (!due) due = now_ns();
  due += (uint64_t)(1e9 / rate);
  struct timespec time = {due / 1000000000, due % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
  send_requests(c, 1, due);
}

// The user and system time so far, in seconds: of the server here, and of this process below.
static double server_seconds(void) {
  char name[64], text[1024];
  unsigned long user, system;
  if (!server_pid) return 0;
  snprintf(name, sizeof name, "/proc/%ld/stat", server_pid);
  FILE *file = fopen(name, "r");
  if (!file) fail(name);
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  char *end = strrchr(text, ')');
  if (!end || sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) fail(name);
  return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

static double own_seconds(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void run(struct connection *connections) {
  uint64_t begin = now_ns() + (uint64_t)(warmup_seconds * 1e9), end = begin + (uint64_t)(seconds * 1e9), now = 0;
  uint64_t started = 0;
  double server = 0, own = 0;
  struct epoll_event events[256];
  while ((now = now_ns()) < end) {
    if (!started && now >= begin) {
      server = server_seconds();
      own = own_seconds();
      started = now_ns();
    }
    if (rate && !connections[0].outstanding) send_when_due(connections);
    int count = epoll_wait(poller, events, 256, 100);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) flush_connection(c);
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take_replies(c, started != 0);
    }
  }
  double took = (now_ns() - started) / 1e9;
  server = server_seconds() - server;
  own = own_seconds() - own;
  printf("{\"per_second\":%.0f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.1f,\"replies\":%llu,"
         "\"seconds\":%.3f,\"bad\":%llu,\"server_seconds\":%.3f,\"load_seconds\":%.3f,\"cpu_per_100k\":%.4f}\n",
         replies / took, histogram_quantile(&times, .5), histogram_quantile(&times, .99),
         histogram_quantile(&times, .999), times.max / 1e3, (unsigned long long)replies, took,
         (unsigned long long)bad_replies, server, own, replies ? server * 1e5 / replies : 0);
}

static enum protocol protocol_named(const char *name) {
  static const char *const names[] = {"framed", "resp", "memcached", "h2"};
  for (int i = 0; i < 4; i++)
    if (!strcmp(name, names[i])) return i;
  errno = EINVAL;
  fail(name);
}

int main(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *flag = argv[i], *value = argv[i + 1];
    if (!strcmp(flag, "--port")) port = atoi(value);
    else if (!strcmp(flag, "--requests")) requests_file = value;
    else if (!strcmp(flag, "--protocol")) settings.protocol = protocol_named(value);
    else if (!strcmp(flag, "--path")) path = value;
    else if (!strcmp(flag, "--connections")) settings.connections = atoi(value);
    else if (!strcmp(flag, "--depth")) settings.depth = atoi(value);
    else if (!strcmp(flag, "--seconds")) seconds = atof(value);
    else if (!strcmp(flag, "--warmup")) warmup_seconds = atof(value);
    else if (!strcmp(flag, "--rate")) rate = atof(value);
    else if (!strcmp(flag, "--pid")) server_pid = atol(value);
    else if (!strcmp(flag, "--expected")) settings.expected = atol(value);
    else if (!strcmp(flag, "--at-least")) settings.at_least = atol(value);
    else if (!strcmp(flag, "--watch")) settings.watch = atol(value);
    else errno = EINVAL, fail(flag);
  }
  int depth_max = settings.protocol == HTTP2 ? 1000 : WINDOW_MAX;
  errno = EINVAL;
  if (argc % 2 == 0 || !port || !requests_file) fail("--port and --requests are needed, and a value for each flag");
  if (rate && (settings.connections > 1 || settings.depth > 1)) fail("--rate is for one at a time");
  if (settings.connections < 1 || settings.depth < 1 || settings.depth > depth_max) fail("--connections, --depth");

  address = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char authority[32];
  snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
  if (settings.protocol == HTTP2) http2_prepare(requests_file, path, authority);
  else load_requests();
  if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  struct connection *connections = calloc(settings.connections, sizeof *connections);
  for (int i = 0; i < settings.connections; i++) {
    struct connection *c = connections + i;
    c->sent = calloc(settings.protocol == HTTP2 ? STREAM_SLOTS : settings.depth, sizeof *c->sent);
    if (settings.protocol == HTTP2) c->data = calloc(STREAM_SLOTS, sizeof *c->data);
    else c->next = (int)((long)i * request_count / settings.connections);
    open_connection(c);
  }
  run(connections);
  return replies == 0 || bad_replies ? 3 : 0;
}
