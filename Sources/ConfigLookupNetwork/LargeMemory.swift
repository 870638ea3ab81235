// SPDX-License-Identifier: Apache-2.0
internal import CLibevent

/// Makes malloc always return large blocks to the system when they are freed. To be called when a server starts, before
/// its first thread.
///
/// By default malloc raises its threshold when the first large block is freed, and keeps such blocks from then on. The
/// memory that a burst took for slow peers would then stay with the process.
public func returnLargeMemoryToSystem() {
  // This is malloc's initial value, 128 KiB. Setting it explicitly disables the automatic adjustment.
  mallopt(M_MMAP_THRESHOLD, 128 * 1024)
}
