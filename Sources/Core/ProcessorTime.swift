internal import Glibc

/// Processor time of threads, which does not include the time of other threads and processes.
public enum ProcessorTime {
  /// Nanoseconds of processor time that the calling thread has used since it began, by `CLOCK_THREAD_CPUTIME_ID`.
  ///
  /// Makes a system call, which takes about ten times as long as ``MonotonicTime/now``: do not use it for each lookup.
  public static var ofThisThread: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
