// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// sched_setattr(2), which the C library has no function for; the first version of its structure.
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

_Bool configlookup_set_slice(unsigned long long nanoseconds) {
  struct attributes attributes = {0};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0)) return 0;
  attributes.size = sizeof attributes;
  attributes.runtime = nanoseconds;
  return !syscall(SYS_sched_setattr, 0, &attributes, 0);
}
