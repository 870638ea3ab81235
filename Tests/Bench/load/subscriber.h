// Watches, each on a connection of its own, read by one thread.
#pragma once
#include <stdint.h>

// A notice has come to one of the subscribers: its kind, and the key.
typedef void (*notice_function)(int kind, const char *key, int size, int64_t now);
enum { NOTICE_UPSERT = 1, NOTICE_PROGRESS = 4 };

int64_t now_ns(void);
_Noreturn void fail(const char *what);
// Opens so many watches: the request goes out as it is, on each connection.
void open_subscribers(int port, int is_http2, int count, const uint8_t *request, int request_size);
// Reads for so long at most what there is to read.
void read_subscribers(int milliseconds, notice_function);
