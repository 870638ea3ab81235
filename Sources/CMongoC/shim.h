// SPDX-License-Identifier: Apache-2.0
#include <mongoc/mongoc.h>

// `bson_t` is aligned to 128 bytes, which Swift cannot express.
enum { cmongoc_bson_size = sizeof (bson_t), cmongoc_bson_alignment = 128 };
