// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"

#include <stdint.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// sched_setattr(2), which the C library has no function for; the first version of its structure.
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

unsigned long long configlookup_nanoseconds(int clock) {
  struct timespec time = {0};
  clock_gettime(clock, &time);
  return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

int configlookup_wait_until(void *condition, void *mutex, unsigned long long deadline) {
  struct timespec time = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
  return pthread_cond_timedwait(condition, mutex, &time);
}

_Bool configlookup_set_slice(unsigned long long nanoseconds) {
  struct attributes attributes = {0};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0)) return 0;
  attributes.size = sizeof attributes;
  attributes.runtime = nanoseconds;
  return !syscall(SYS_sched_setattr, 0, &attributes, 0);
}
