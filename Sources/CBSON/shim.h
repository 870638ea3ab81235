#include <bson/bson.h>

// `bson_iter_t` is aligned to 128 bytes, which Swift cannot express: it is reached through these.

static inline bson_iter_t *cbson_iter_at (void *memory)
{
   return (bson_iter_t *) memory;
}

// The bytes of the value the iterator stands at, without type and name. libbson has checked that they are there.
static inline const uint8_t *cbson_iter_value (const bson_iter_t *iter, uint32_t *length)
{
   uint32_t start = iter->key + bson_iter_key_len (iter) + 1;
   *length = iter->next_off - start;
   return iter->raw + start;
}

enum { cbson_iter_size = sizeof (bson_iter_t), cbson_iter_alignment = 128 };
