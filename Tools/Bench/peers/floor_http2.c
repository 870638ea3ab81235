// SPDX-License-Identifier: Apache-2.0
// The least work that still answers a gRPC call over cleartext HTTP/2: floor_http2 PORT ENTRIES
//
// It has one thread. It walks over HTTP/2 frames, decodes no headers and makes no lookups: it answers any stream that
// ends with HEADERS, DATA with the first message of ENTRIES, and trailers with grpc-status 0. For each readable
// connection it makes one recv and one send. It is a bound, not a server: it requires a client with large windows.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8 };

struct conn {
  int fd, preface, hdr_n;
  uint32_t skip;                 // The bytes left of the payload.
  uint8_t hdr[9], ping[8];
  uint8_t *out; size_t at, n, cap;
};

static uint8_t in[256 * 1024], *tmpl;
static size_t tmpl_n, sid[3];

static void put(struct conn *c, const void *p, size_t n) {
  if (c->n + n > c->cap) {
    c->cap = (c->n + n) * 2;
    c->out = realloc(c->out, c->cap);
  }
  memcpy(c->out + c->n, p, n);
  c->n += n;
}
static size_t head(uint8_t *p, size_t len, int type, int flags) {
  p[0] = len >> 16; p[1] = len >> 8; p[2] = len; p[3] = type; p[4] = flags;
  memset(p + 5, 0, 4);
  return 9;
}
static void reply(struct conn *c, const uint8_t id[4]) {
  size_t base = c->n;
  put(c, tmpl, tmpl_n);
  for (int i = 0; i < 3; i++) memcpy(c->out + base + sid[i], id, 4);
}
static void frame_done(struct conn *c) {
  int type = c->hdr[3], flags = c->hdr[4];
  uint8_t f[17];
  if ((type == DATA || type == HEADERS) && flags & 1) reply(c, c->hdr + 5);
  else if (type == SETTINGS && !(flags & 1)) { head(f, 0, SETTINGS, 1); put(c, f, 9); }
  else if (type == PING && !(flags & 1)) { head(f, 8, PING, 1); memcpy(f + 9, c->ping, 8); put(c, f, 17); }
}
static void parse(struct conn *c, const uint8_t *b, size_t n) {
  for (size_t i = 0; i < n;) {
    if (c->preface) {
      size_t m = n - i < (size_t)c->preface ? n - i : (size_t)c->preface;
      i += m; c->preface -= m;
    } else if (c->skip) {
      size_t m = n - i < c->skip ? n - i : c->skip;
      if (c->hdr[3] == PING) memcpy(c->ping + 8 - c->skip, b + i, m);
      i += m;
      if (!(c->skip -= m)) { c->hdr_n = 0; frame_done(c); }
    } else {
      size_t m = n - i < (size_t)(9 - c->hdr_n) ? n - i : (size_t)(9 - c->hdr_n);
      memcpy(c->hdr + c->hdr_n, b + i, m);
      i += m;
      if ((c->hdr_n += m) == 9 && !(c->skip = (uint32_t)c->hdr[0] << 16 | c->hdr[1] << 8 | c->hdr[2])) {
        c->hdr_n = 0;
        frame_done(c);
      }
    }
  }
}
static int drain(struct conn *c) {
  while (c->at < c->n) {
    ssize_t s = send(c->fd, c->out + c->at, c->n - c->at, MSG_NOSIGNAL);
    if (s < 0) return errno == EAGAIN || errno == EINTR;
    c->at += s;
  }
  c->at = c->n = 0;
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) { fprintf(stderr, "usage: floor_http2 PORT ENTRIES\n"); return 2; }
  FILE *f = fopen(argv[2], "rb");
  uint8_t l[4], body[65536];
  if (!f || fread(l, 1, 4, f) != 4) { perror(argv[2]); return 1; }
  size_t len = l[2] << 8 | l[3];
  if (l[0] || l[1] || len > 16000 || fread(body, 1, len, f) != len) {
    fprintf(stderr, "%s: the message is too long\n", argv[2]);
    return 1;
  }
  fclose(f);
  static const char h[] = "\x88\x0f\x10\x10" "application/grpc", t[] = "\x00\x0bgrpc-status\x01" "0";
  uint8_t *p = tmpl = malloc(len + 256);
  sid[0] = p - tmpl + 5; p += head(p, sizeof h - 1, HEADERS, 4); memcpy(p, h, sizeof h - 1); p += sizeof h - 1;
  sid[1] = p - tmpl + 5; p += head(p, len + 5, DATA, 0);
  *p++ = 0; memcpy(p, l, 4); p += 4; memcpy(p, body, len); p += len;
  sid[2] = p - tmpl + 5; p += head(p, sizeof t - 1, HEADERS, 5); memcpy(p, t, sizeof t - 1); p += sizeof t - 1;
  tmpl_n = p - tmpl;

  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in sa = {
      .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(ls, (struct sockaddr *)&sa, sizeof sa) || listen(ls, 1024)) { perror("listen"); return 1; }
  int ep = epoll_create1(0);
  struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, evs[256];
  epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
  for (;;) {
    int n = epoll_wait(ep, evs, 256, -1);
    for (int i = 0; i < n; i++) {
      struct conn *c = evs[i].data.ptr;
      if (!c) {
        int fd;
        while ((fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          c = calloc(1, sizeof *c);
          c->fd = fd;
          c->preface = 24;
          uint8_t b[9 + 6 + 13];
          head(b, 6, SETTINGS, 0); memcpy(b + 9, "\0\3\0\0\3\xe8", 6);          // At most 1,000 streams.
          head(b + 15, 4, WINDOW_UPDATE, 0); memcpy(b + 24, "\x7f\xff\0\0", 4);  // A window of 2 GiB for requests.
          put(c, b, sizeof b);
          ev = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
          epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
        }
        continue;
      }
      int ok = 1;
      if (evs[i].events & EPOLLOUT) ok = drain(c);
      if (ok && evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        for (;;) {
          ssize_t got = recv(c->fd, in, sizeof in, 0);
          if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) { ok = 0; break; }
          if (got < 0) break;
          parse(c, in, got);
          if (!(ok = drain(c))) break;
          if ((size_t)got < sizeof in && !(evs[i].events & EPOLLRDHUP)) break;
        }
      if (!ok) { close(c->fd); free(c->out); free(c); }
    }
  }
}
