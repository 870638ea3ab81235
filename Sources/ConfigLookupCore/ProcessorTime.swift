// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// The CPU time of threads, which excludes the time of other threads and processes.
public enum ProcessorTime {
  /// The CPU time that the calling thread has used since it began, in nanoseconds, by `CLOCK_THREAD_CPUTIME_ID`.
  ///
  /// It makes a system call, which takes about ten times as long as ``MonotonicTime/now``, so it must not be used for
  /// each lookup.
  public static var ofThisThread: UInt64 {
    configlookup_nanoseconds(CLOCK_THREAD_CPUTIME_ID)
  }
}
