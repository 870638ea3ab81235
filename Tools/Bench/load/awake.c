// SPDX-License-Identifier: Apache-2.0
// Keeps a core from halting: awake SECONDS CORE
//
// It has the lowest priority. On a virtual machine a halted core takes long to wake, which would add to a latency.
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  struct sched_param p = {0};
  cpu_set_t s;
  CPU_ZERO(&s);
  CPU_SET(atoi(argv[2]), &s);
  if (sched_setaffinity(0, sizeof s, &s) || sched_setscheduler(0, SCHED_IDLE, &p)) return 1;
  for (time_t end = time(NULL) + atoi(argv[1]); time(NULL) < end;)
    for (int i = 0; i < 100000; i++) __builtin_ia32_pause();
}
