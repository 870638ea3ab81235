// SPDX-License-Identifier: Apache-2.0
// The upper bound that kernel and loopback allow: floor_framed PORT REPLY_BYTES
//
// It has one thread. It counts frames (a length of 4 bytes, big-endian, and a payload that it ignores) and answers each
// with the same frame. For each readable connection it makes one recv and one send, for any number of requests. All
// replies are equal, so the bytes owed to a connection are periodic; `phase` is the offset where the last send stopped.
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

struct conn { int fd, hdr_n; uint32_t skip; uint8_t hdr[4]; uint64_t owed; uint32_t phase; };

static uint8_t in[256 * 1024], *out;
static size_t reply, out_n;

static int parse(struct conn *c, const uint8_t *b, size_t n) {
  int k = 0;
  for (size_t i = 0; i < n;) {
    if (c->skip) {
      size_t m = n - i < c->skip ? n - i : c->skip;
      i += m;
      if (!(c->skip -= m)) k++;
    } else if (!c->hdr_n && n - i >= 4) {                    // The most frequent case.
      c->skip = (uint32_t)b[i] << 24 | b[i + 1] << 16 | b[i + 2] << 8 | b[i + 3];
      i += 4;
      if (!c->skip) k++;
    } else {
      c->hdr[c->hdr_n++] = b[i++];
      if (c->hdr_n == 4) {
        c->skip = (uint32_t)c->hdr[0] << 24 | c->hdr[1] << 16 | c->hdr[2] << 8 | c->hdr[3];
        c->hdr_n = 0;
        if (!c->skip) k++;
      }
    }
  }
  return k;
}

static int drain(struct conn *c) {           // Returns 0 if the connection is closed.
  while (c->owed) {
    size_t n = out_n - c->phase < c->owed ? out_n - c->phase : c->owed;
    ssize_t s = send(c->fd, out + c->phase, n, MSG_NOSIGNAL);
    if (s < 0) return errno == EAGAIN || errno == EINTR;
    c->owed -= s;
    c->phase = (c->phase + s) % reply;
  }
  return 1;
}

int main(int argc, char **argv) {
  int port = argc > 1 ? atoi(argv[1]) : 0, body = argc > 2 ? atoi(argv[2]) : 0;
  if (!port || body < 1) { fprintf(stderr, "usage: floor_framed PORT REPLY_BYTES\n"); return 2; }
  reply = body + 4;
  size_t copies = 262144 / reply + 1;
  out_n = copies * reply;
  out = malloc(out_n);
  for (size_t i = 0; i < copies; i++) {
    uint8_t *p = out + i * reply;
    p[0] = body >> 24; p[1] = body >> 16; p[2] = body >> 8; p[3] = body;
    memset(p + 4, 'x', body);
  }
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in sa = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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
          ev = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
          epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
        }
        continue;
      }
      int ok = 1;
      if (evs[i].events & EPOLLOUT && c->owed) ok = drain(c);
      if (evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        for (;;) {
          ssize_t got = recv(c->fd, in, sizeof in, 0);
          if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) { ok = 0; break; }
          if (got < 0) break;
          c->owed += (uint64_t)parse(c, in, got) * reply;
          if (!(ok = drain(c))) break;
          // A short read means that the socket is empty, unless the peer has closed the connection.
          if ((size_t)got < sizeof in && !(evs[i].events & EPOLLRDHUP)) break;
        }
      if (!ok) { close(c->fd); free(c); }
    }
  }
}
