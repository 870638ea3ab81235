// SPDX-License-Identifier: Apache-2.0
#include <nghttp2/nghttp2.h>

// In releases of 2023 and later, and in the security updates of older ones.
__attribute__((weak)) void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst,
                                                                      uint64_t rate);

static inline void configlookup_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate) {
  if (nghttp2_option_set_stream_reset_rate_limit) {
    nghttp2_option_set_stream_reset_rate_limit(option, burst, rate);
  }
}
