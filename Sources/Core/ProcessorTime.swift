internal import Glibc

/// Processor time: what other threads and processes take of the processor meanwhile does not count.
public enum ProcessorTime {
  /// Nanoseconds of processor time that the calling thread has used since it began, by `CLOCK_THREAD_CPUTIME_ID`.
  ///
  /// A system call, about ten times as long as ``MonotonicTime/now``: not for what happens with every lookup.
  public static var ofThisThread: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
