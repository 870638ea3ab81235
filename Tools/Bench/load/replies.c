// SPDX-License-Identifier: Apache-2.0
// Parses replies of the framed protocol, of Redis (RESP bulk strings) and of memcached ("get" and "mg").
#include "load.h"

#include <stdlib.h>
#include <string.h>

// Handles a complete line of RESP or memcached. Returns the number of completed replies: 1 for an error, and for a
// value that needs no further bytes.
static int take_line(struct connection *c) {
  const char *line = (const char *)c->head;
  if (settings.protocol == RESP) {
    long size = line[0] == '$' ? atol(line + 1) : -1;
    if (size < 0) return bad_replies++, 1;
    check_size(size);
    c->skip = size + 2;
  } else if (!memcmp(line, "VALUE ", 6)) {
    const char *last = strrchr(line, ' ');
    long size = last ? atol(last + 1) : 0;
    check_size(size);
    c->skip = size + 2;
    c->in_value = 1;
  } else if (!memcmp(line, "VA ", 3)) {
    long size = atol(line + 3);
    check_size(size);
    c->skip = size + 2;
  } else if (!memcmp(line, "END", 3)) {
    if (!c->in_value) bad_replies++;
    c->in_value = 0;
    return 1;
  } else {
    return bad_replies++, 1;
  }
  return 0;
}

int text_parse(struct connection *c, const uint8_t *bytes, size_t count) {
  int done = 0;
  for (size_t i = 0; i < count;) {
    if (c->skip) {
      size_t part = count - i < c->skip ? count - i : c->skip;
      i += part;
      if ((c->skip -= part) == 0 && !c->in_value) done++;
      continue;
    }
    uint8_t byte = bytes[i++];
    if (c->head_size < (int)sizeof c->head - 1) c->head[c->head_size++] = byte;
    if (settings.protocol == FRAMED) {
      if (c->head_size < 4) continue;
      const uint8_t *h = c->head;
      uint32_t size = (uint32_t)h[0] << 24 | h[1] << 16 | h[2] << 8 | h[3];
      check_size(size);
      c->skip = size;
      c->head_size = 0;
      if (!size) done++;
    } else if (byte == '\n') {
      c->head[c->head_size] = 0;
      c->head_size = 0;
      done += take_line(c);
    }
  }
  return done;
}
