// SPDX-License-Identifier: Apache-2.0
#ifndef CONFIG_LOOKUP_CLINUX_H
#define CONFIG_LOOKUP_CLINUX_H

// How long the calling thread runs before a thread that has waited longer gets its processor; and, the shorter it is, the
// sooner it gets one itself when it wakes. Of the usual policies, from Linux 6.12 on; an older kernel takes no notice.
// False: the system refused it. https://docs.kernel.org/scheduler/sched-eevdf.html
_Bool configlookup_set_slice(unsigned long long nanoseconds);

// Has the processor bring the memory at `address` near, which is about to be read; any address is good.
// https://gcc.gnu.org/onlinedocs/gcc/Other-Builtins.html
static inline void configlookup_prefetch(const void *address) { __builtin_prefetch(address); }

#endif
