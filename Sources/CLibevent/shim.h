// SPDX-License-Identifier: Apache-2.0
// First of all: without it, event2 and Glibc disagree about the members of `fd_set`.
#include <features.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <malloc.h>
#include <sys/eventfd.h>

// Not visible to Swift, whose view of the C library lacks the GNU extensions; its header may or may not have declared
// it here already, so it goes by a name of ours.
extern int configlookup_accept4(int fd, void *address, void *length, int flags) __asm__("accept4");
