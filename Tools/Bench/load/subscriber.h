// SPDX-License-Identifier: Apache-2.0
// Watches, each on a connection of its own. One thread reads them.
#pragma once
#include <stdint.h>

// Called when a subscriber has received a notice, with its kind and key.
typedef void (*notice_function)(int kind, const char *key, int size, int64_t now);
enum { NOTICE_UPSERT = 1, NOTICE_PROGRESS = 4 };

int64_t now_ns(void);
_Noreturn void fail(const char *what);
// Opens `count` watches. The request is sent unchanged on each connection.
void open_subscribers(int port, int is_http2, int count, const uint8_t *request, int request_size);
// Reads the available bytes; waits for them for at most `milliseconds`.
void read_subscribers(int milliseconds, notice_function);
