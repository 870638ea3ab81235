// SPDX-License-Identifier: Apache-2.0
// documents: reads a collection with libmongoc only, or changes it at a given rate.
//
//   documents URI read                                measures a loop over all documents
//   documents URI change RATE SECONDS [BATCH]         replaces documents, BATCH (20) in one write
//
// The collection is bench.agents. Prints one line of JSON.
#define _GNU_SOURCE
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEYS_MAX = 1000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(bool holds, const bson_error_t *error) {
  if (holds) return;
  fprintf(stderr, "documents: %s\n", error->message);
  exit(1);
}

static void read_all(mongoc_collection_t *collection) {
  bson_t all = BSON_INITIALIZER;
  double start = now();
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &all, NULL, NULL);
  const bson_t *document;
  bson_error_t error;
  long count = 0, bytes = 0;
  while (mongoc_cursor_next(cursor, &document)) {
    count++;
    bytes += document->len;
  }
  check(!mongoc_cursor_error(cursor, &error), &error);
  printf("{\"documents\":%ld,\"bytes\":%ld,\"seconds\":%.3f}\n", count, bytes, now() - start);
  mongoc_cursor_destroy(cursor);
}

// Returns a copy of the document, with a description of the same size that begins with the number.
static bson_t *changed(const bson_t *document, long number) {
  bson_t *copy = bson_new();
  bson_iter_t iterator;
  bson_copy_to_excluding_noinit(document, copy, "description", NULL);
  if (bson_iter_init_find(&iterator, document, "description")) {
    uint32_t size;
    char *text = strdup(bson_iter_utf8(&iterator, &size));
    int digits = snprintf(NULL, 0, "%ld ", number);
    if ((uint32_t)digits < size) {
      char last = text[digits];
      snprintf(text, digits + 1, "%ld ", number);
      text[digits] = last;
    }
    BSON_APPEND_UTF8(copy, "description", text);
    free(text);
  }
  return copy;
}

static void change(mongoc_collection_t *collection, double rate, double seconds, int batch) {
  static bson_t *documents[KEYS_MAX];
  bson_t all = BSON_INITIALIZER, *limit = BCON_NEW("limit", BCON_INT64(KEYS_MAX));
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &all, limit, NULL);
  const bson_t *document;
  bson_error_t error;
  int keys = 0;
  while (keys < KEYS_MAX && mongoc_cursor_next(cursor, &document)) documents[keys++] = bson_copy(document);
  check(!mongoc_cursor_error(cursor, &error) && keys > 0, &error);
  mongoc_cursor_destroy(cursor);
  puts("ready");
  fflush(stdout);
  double start = now();
  long count = 0;
  // If the database is slower than the rate, fewer changes are made. The reached rate is printed.
  while (now() < start + seconds) {
    double wait = start + count / rate - now();
    if (wait > 0) usleep(wait * 1e6);
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(collection, NULL);
    for (int i = 0; i < batch; i++, count++) {
      const bson_t *old = documents[count % keys];
      bson_iter_t id;
      bson_t query = BSON_INITIALIZER, *new = changed(old, (long)(start * 1000) + count);
      if (bson_iter_init_find(&id, old, "_id")) bson_append_iter(&query, NULL, 0, &id);
      check(mongoc_bulk_operation_replace_one_with_opts(bulk, &query, new, NULL, &error), &error);
      bson_destroy(new);
      bson_destroy(&query);
    }
    check(mongoc_bulk_operation_execute(bulk, NULL, &error), &error);
    mongoc_bulk_operation_destroy(bulk);
  }
  printf("{\"changes\":%ld,\"per_second\":%.0f}\n", count, count / (now() - start));
}

int main(int argc, char **argv) {
  if (argc < 3 || (strcmp(argv[2], "read") && argc < 5)) {
    fprintf(stderr, "usage: documents URI read | documents URI change RATE SECONDS [BATCH]\n");
    return 2;
  }
  mongoc_init();
  mongoc_client_t *client = mongoc_client_new(argv[1]);
  mongoc_collection_t *collection = mongoc_client_get_collection(client, "bench", "agents");
  if (!strcmp(argv[2], "read")) read_all(collection);
  else change(collection, atof(argv[3]), atof(argv[4]), argc > 5 ? atoi(argv[5]) : 20);
  mongoc_collection_destroy(collection);
  mongoc_client_destroy(client);
  mongoc_cleanup();
  return 0;
}
