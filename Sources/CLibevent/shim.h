// First of all: without it, event2 and Glibc disagree about the members of `fd_set`.
#include <features.h>

#include <event2/event.h>
#include <sys/eventfd.h>
