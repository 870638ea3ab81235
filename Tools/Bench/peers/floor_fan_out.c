// SPDX-License-Identifier: Apache-2.0
// The lower bound of the system for a fan-out: floor_fan_out CONNECTIONS BYTES ROUNDS SENDER_CORE READER_CORE
//
// It makes one send for each connection, one after the other, and nothing else. A process on the other core reads all
// messages. Prints the medians of the time until the last message is read, and of the sender's CPU time, in
// milliseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000

static double milliseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void stay_on(int core) {
  cpu_set_t s;
  CPU_ZERO(&s);
  CPU_SET(core, &s);
  if (sched_setaffinity(0, sizeof s, &s)) _exit(1);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, count, sizeof *values, compare);
  return values[count / 2];
}

// For each round, writes to `out` when it is ready, and when it has read the last message.
static void read_all(struct sockaddr_in address, int count, int bytes, int rounds, int out) {
  int poll = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = s};
    if (connect(s, (void *)&address, sizeof address) || epoll_ctl(poll, EPOLL_CTL_ADD, s, &e)) _exit(1);
  }
  char buffer[4096];
  struct epoll_event events[512];
  for (int round = 0; round < rounds; round++) {
    double now = 0;
    if (write(out, &now, sizeof now) != sizeof now) _exit(1);
    for (long left = (long)count * bytes; left > 0;) {
      int ready = epoll_wait(poll, events, 512, -1);
      for (int i = 0; i < ready; i++) {
        ssize_t got = read(events[i].data.fd, buffer, sizeof buffer);
        if (got <= 0) _exit(1);
        left -= got;
      }
    }
    now = milliseconds(CLOCK_MONOTONIC);
    if (write(out, &now, sizeof now) != sizeof now) _exit(1);
  }
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int count = atoi(argv[1]), bytes = atoi(argv[2]), rounds = atoi(argv[3]);
  if (count < 1 || bytes < 1 || bytes > 4096 || rounds < 1 || rounds > ROUNDS_MAX) return 2;
  struct rlimit files = {1 << 20, 1 << 20};
  setrlimit(RLIMIT_NOFILE, &files);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0), said[2], one = 1;
  if (bind(listener, (void *)&address, length) || listen(listener, 4096) ||
      getsockname(listener, (void *)&address, &length) || pipe(said))
    return 1;
  stay_on(atoi(argv[4]));
  if (!fork()) {
    stay_on(atoi(argv[5]));
    read_all(address, count, bytes, rounds, said[1]);
  }
  close(said[1]);
  int *sockets = malloc(count * sizeof *sockets);
  for (int i = 0; i < count; i++) {
    sockets[i] = accept(listener, NULL, NULL);
    if (sockets[i] < 0) return 1;
    setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  static double last[ROUNDS_MAX], cpu[ROUNDS_MAX];
  char *message = calloc(1, bytes);
  for (int round = 0; round < rounds; round++) {
    double end;
    if (read(said[0], &end, sizeof end) != sizeof end) return 1;
    usleep(100000);
    double begin = milliseconds(CLOCK_MONOTONIC), used = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < count; i++)
      if (send(sockets[i], message, bytes, MSG_NOSIGNAL) != bytes) return 1;
    cpu[round] = milliseconds(CLOCK_PROCESS_CPUTIME_ID) - used;
    if (read(said[0], &end, sizeof end) != sizeof end) return 1;
    last[round] = end - begin;
  }
  printf("{\"p50_ms\": %.3f, \"cpu_ms\": %.3f}\n", median(last, rounds), median(cpu, rounds));
}
