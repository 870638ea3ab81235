// SPDX-License-Identifier: Apache-2.0
// A minimal protobuf decoder for subscribers: it reads the fields of a message one by one.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct field {
  uint32_t number;
  // The value of a varint field; the size of a bytes field.
  uint64_t value;
  const uint8_t *bytes;
};

static inline int take_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (int shift = 0; *at < end && shift < 64; shift += 7) {
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return 1;
  }
  return 0;
}

// Reads the next field. Returns 0 at the end, or if the bytes are not a valid message.
static inline int take_field(const uint8_t **at, const uint8_t *end, struct field *f) {
  uint64_t tag;
  if (!take_varint(at, end, &tag)) return 0;
  *f = (struct field){.number = tag >> 3};
  switch (tag & 7) {
    case 0: return take_varint(at, end, &f->value);
    case 1: return *at += 8, *at <= end;
    case 2:
      if (!take_varint(at, end, &f->value) || f->value > (uint64_t)(end - *at)) return 0;
      f->bytes = *at;
      *at += f->value;
      return 1;
    default: return 0;
  }
}

// Returns the bytes of the last field with this number; NULL if there is none.
static inline const uint8_t *find_bytes(const uint8_t *at, const uint8_t *end, uint32_t number, size_t *size) {
  struct field f;
  const uint8_t *found = NULL;
  while (take_field(&at, end, &f))
    if (f.number == number && f.bytes) {
      found = f.bytes;
      *size = f.value;
    }
  return found;
}
