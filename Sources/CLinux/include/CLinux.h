// SPDX-License-Identifier: Apache-2.0
#ifndef CONFIG_LOOKUP_CLINUX_H
#define CONFIG_LOOKUP_CLINUX_H

// The time of a clock in nanoseconds, by clock_gettime(2). The clock must exist. Swift cannot always read the members of
// `timespec`: which module declares it depends on what else the build imports.
unsigned long long configlookup_nanoseconds(int clock);

// pthread_cond_timedwait(3) for a pthread_cond_t and a pthread_mutex_t, with the deadline in nanoseconds of the
// condition's clock. Returns 0 or an error number.
int configlookup_wait_until(void *condition, void *mutex, unsigned long long deadline);

// How long the calling thread runs before a thread that has waited longer gets its processor; and, the shorter it is, the
// sooner it gets one itself when it wakes. Of the usual policies, from Linux 6.12 on; an older kernel takes no notice.
// False: the system refused it. https://docs.kernel.org/scheduler/sched-eevdf.html
_Bool configlookup_set_slice(unsigned long long nanoseconds);

// Has the processor bring the memory at `address` near, which is about to be read; any address is good.
// https://gcc.gnu.org/onlinedocs/gcc/Other-Builtins.html
static inline void configlookup_prefetch(const void *address) { __builtin_prefetch(address); }

#endif
