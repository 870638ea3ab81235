// SPDX-License-Identifier: Apache-2.0
#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

// `bson_iter_t` is aligned to 128 bytes, which Swift cannot express: it is reached through these.

// In memory of `cbson_iter_room` bytes, wherever they begin: what wants a greater alignment than usual, Swift takes from
// the heap.
static inline bson_iter_t *cbson_iter_at (void *memory)
{
   const uintptr_t alignment = 128;
   return (bson_iter_t *) (((uintptr_t) memory + alignment - 1) & ~(alignment - 1));
}

// The bytes of the value the iterator stands at, without type and name. libbson has checked that they are there.
static inline const uint8_t *cbson_iter_value (const bson_iter_t *iter, uint32_t *length)
{
   uint32_t start = iter->key + bson_iter_key_len (iter) + 1;
   *length = iter->next_off - start;
   return iter->raw + start;
}

// Finds a field by its name. False: there is none, or something malformed stands before it.
static inline bool cbson_find (const uint8_t *document, size_t document_length, const uint8_t *name, size_t name_length,
                               uint8_t *type, const uint8_t **value, uint32_t *length)
{
   bson_iter_t iter;
   if (!bson_iter_init_from_data (&iter, document, document_length)) return false;
   while (bson_iter_next (&iter)) {
      if (bson_iter_key_len (&iter) != name_length || memcmp (bson_iter_key (&iter), name, name_length)) continue;
      *type = (uint8_t) bson_iter_type (&iter);
      *value = cbson_iter_value (&iter, length);
      return true;
   }
   return false;
}

enum { cbson_iter_room = sizeof (bson_iter_t) + 128 };

// Writes a finite number in 34 significant digits, correctly rounded: `d.ddd…e±xx`.
static inline void cbson_double_in_34_digits (double number, char *text, size_t room)
{
   snprintf (text, room, "%.33e", number);
}

// Writes a finite number in 20 significant digits, which no other number has: libbson's way. At most 27 characters.
static inline void cbson_double_in_20_digits (double number, char *text, size_t room)
{
   snprintf (text, room, "%.20g", number);
}
