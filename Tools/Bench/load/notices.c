// SPDX-License-Identifier: Apache-2.0
// notices: measures the time from the acknowledgement of a write until a bare change stream, and the subscribers of the
// server, have received the change.
//
//   notices --port P --request FILE --subscribers N [--http2 1]
//           [--mongodb URI --changes N --bytes B --rate R [--bare 1]]
//
// All times are of one clock, because all threads are in one process: the main thread writes, one thread reads the
// subscribers, and one reads the bare change stream (updateLookup). Every change is of a different document, agent-0000
// and so on, and is made when all subscribers and the bare change stream have received the previous one. The program
// prints "ready" when every watch is open. With --changes 0, it keeps them open until standard input ends. It prints
// one line of JSON with times in milliseconds since the acknowledgement; a time is negative if a notice arrived before
// the acknowledgement.
#define _GNU_SOURCE
#include <errno.h>
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subscriber.h"

enum { CHANGES_MAX = 1000, TEXT_MAX = 4096 };

static const char *uri, *request_file;
// `bytes` is the size of the text that a change writes.
static int port, subscribers = 1, changes, bytes = 1000, is_http2, has_bare;
static double rate = 50;

// Times by number of the change. all_seen is set when the last subscriber has received the change, that is, when `have`
// is equal to the number of subscribers.
static int64_t sent[CHANGES_MAX], acknowledged[CHANGES_MAX];
static _Atomic int64_t bare_seen[CHANGES_MAX], all_seen[CHANGES_MAX];
static int have[CHANGES_MAX];
static _Atomic int ready, is_bare_open, is_over;

static int number_of(const char *key, int size) {
  int number = 0;
  for (int i = 0; i < size; i++)
    if (key[i] >= '0' && key[i] <= '9') number = number * 10 + key[i] - '0';
  return size ? number : -1;
}

static void note(int kind, const char *key, int size, int64_t now) {
  if (kind == NOTICE_PROGRESS) {
    ready++;
    return;
  }
  int number = number_of(key, size);
  if (kind == NOTICE_UPSERT && number >= 0 && number < CHANGES_MAX && ++have[number] == subscribers)
    all_seen[number] = now;
}

static void *read_notices(void *unused) {
  while (!is_over) read_subscribers(100, note);
  return unused;
}

static void *read_bare(void *unused) {
  mongoc_client_t *client = mongoc_client_new(uri);
  mongoc_collection_t *collection = mongoc_client_get_collection(client, "bench", "agents");
  bson_t pipeline = BSON_INITIALIZER, options = BSON_INITIALIZER;
  BSON_APPEND_INT64(&options, "maxAwaitTimeMS", 1000);
  BSON_APPEND_UTF8(&options, "fullDocument", "updateLookup");
  mongoc_change_stream_t *stream = mongoc_collection_watch(collection, &pipeline, &options);
  const bson_t *event, *details;
  bson_error_t error;
  while (!is_over) {
    if (!mongoc_change_stream_next(stream, &event)) {
      if (mongoc_change_stream_error_document(stream, &error, &details)) errno = 0, fail(error.message);
      is_bare_open = 1;
      continue;
    }
    int64_t now = now_ns();
    bson_iter_t top, id;
    if (bson_iter_init(&top, event) && bson_iter_find_descendant(&top, "documentKey._id", &id)) {
      uint32_t size;
      const char *key = bson_iter_utf8(&id, &size);
      int number = number_of(key, size);
      if (number >= 0 && number < CHANGES_MAX) bare_seen[number] = now;
    }
  }
  mongoc_change_stream_destroy(stream);
  mongoc_collection_destroy(collection);
  mongoc_client_destroy(client);
  return unused;
}

static void write_changes(void) {
  mongoc_client_t *client = mongoc_client_new(uri);
  mongoc_collection_t *collection = mongoc_client_get_collection(client, "bench", "agents");
  bson_error_t error;
  char text[TEXT_MAX + 1];
  int64_t start = now_ns();
  for (int i = 0; i < changes; i++) {
    int64_t wait = start + (int64_t)(i * 1e9 / rate) - now_ns();
    if (wait > 0) usleep(wait / 1000);
    char key[16];
    snprintf(key, sizeof key, "agent-%04d", i);
    memset(text, 'y', bytes);
    text[bytes] = 0;
    text[snprintf(text, 32, "%lld", (long long)start)] = ' ';
    bson_t *query = BCON_NEW("_id", BCON_UTF8(key));
    bson_t *update = BCON_NEW("$set", "{", "description", BCON_UTF8(text), "}");
    sent[i] = now_ns();
    if (!mongoc_collection_update_one(collection, query, update, NULL, NULL, &error)) errno = 0, fail(error.message);
    acknowledged[i] = now_ns();
    bson_destroy(query);
    bson_destroy(update);
    while (((subscribers && !all_seen[i]) || (has_bare && !bare_seen[i])) && now_ns() < acknowledged[i] + 20000000000)
      usleep(100);
    errno = 0;
    if (subscribers && !all_seen[i]) fail("a notice did not come");
    if (has_bare && !bare_seen[i]) fail("an event did not come");
  }
  mongoc_collection_destroy(collection);
  mongoc_client_destroy(client);
}

static int compare(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

static void print_times(const char *name, const int64_t *from, const _Atomic int64_t *to) {
  static double times[CHANGES_MAX];
  for (int i = 0; i < changes; i++) times[i] = (to[i] - from[i]) / 1e6;
  qsort(times, changes, sizeof *times, compare);
  printf("\"%s_p50_ms\":%.3f,\"%s_p99_ms\":%.3f,\"%s_max_ms\":%.3f,", name, times[changes / 2], name,
         times[(changes * 99 - 1) / 100], name, times[changes - 1]);
}

int main(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *flag = argv[i], *value = argv[i + 1];
    if (!strcmp(flag, "--port")) port = atoi(value);
    else if (!strcmp(flag, "--request")) request_file = value;
    else if (!strcmp(flag, "--subscribers")) subscribers = atoi(value);
    else if (!strcmp(flag, "--http2")) is_http2 = atoi(value);
    else if (!strcmp(flag, "--mongodb")) uri = value;
    else if (!strcmp(flag, "--changes")) changes = atoi(value);
    else if (!strcmp(flag, "--bytes")) bytes = atoi(value);
    else if (!strcmp(flag, "--rate")) rate = atof(value);
    else if (!strcmp(flag, "--bare")) has_bare = atoi(value);
    else errno = EINVAL, fail(flag);
  }
  errno = EINVAL;
  if (argc % 2 == 0 || !port || !request_file || (changes && !uri)) fail("flags are missing");
  if (changes > CHANGES_MAX || bytes < 32 || bytes > TEXT_MAX) fail("--changes, --bytes");
  mongoc_init();
  uint8_t request[1024];
  FILE *file = fopen(request_file, "rb");
  if (!file) fail(request_file);
  int size = fread(request, 1, sizeof request, file);
  fclose(file);
  open_subscribers(port, is_http2, subscribers, request, size);
  pthread_t reader, bare;
  pthread_create(&reader, NULL, read_notices, NULL);
  if (has_bare) pthread_create(&bare, NULL, read_bare, NULL);
  while (ready < subscribers || (has_bare && !is_bare_open)) usleep(1000);
  puts("ready");
  fflush(stdout);
  if (changes) {
    write_changes();
    printf("{");
    print_times("write", sent, (const _Atomic int64_t *)acknowledged);
    if (has_bare) print_times("bare", acknowledged, bare_seen);
    if (subscribers) print_times("notice", acknowledged, all_seen);
    printf("\"changes\":%d,\"subscribers\":%d}\n", changes, subscribers);
  } else {
    while (getchar() != EOF) {}
  }
  is_over = 1;
  pthread_join(reader, NULL);
  if (has_bare) pthread_join(bare, NULL);
  mongoc_cleanup();
  return 0;
}
