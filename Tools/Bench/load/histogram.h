// SPDX-License-Identifier: Apache-2.0
// A histogram of times in nanoseconds, with 128 buckets for each power of two. The error is less than 1 %.
#pragma once
#include <stdint.h>

enum { STEPS = 128, BUCKETS = STEPS * 48 };

struct histogram {
  uint32_t buckets[BUCKETS];
  uint64_t count, max;
};

static inline void histogram_add(struct histogram *h, uint64_t ns) {
  unsigned index = ns;
  if (ns >= STEPS) {
    unsigned shift = 63 - __builtin_clzll(ns) - 7;
    index = STEPS * (shift + 1) + ((ns >> shift) - STEPS);
  }
  h->buckets[index < BUCKETS ? index : BUCKETS - 1]++;
  h->count++;
  if (ns > h->max) h->max = ns;
}

// Returns the quantile in microseconds.
static inline double histogram_quantile(const struct histogram *h, double quantile) {
  uint64_t wanted = (uint64_t)(quantile * h->count), seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    seen += h->buckets[i];
    if (seen <= wanted) continue;
    if (i < STEPS) return i / 1e3;
    unsigned shift = i / STEPS - 1;
    return ((double)((uint64_t)(STEPS + i % STEPS) << shift) + (1ull << shift) / 2.0) / 1e3;
  }
  return h->max / 1e3;
}
