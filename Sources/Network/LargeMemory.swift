internal import CLibevent

/// Has large pieces of memory go back to the system when they are freed, always. For a server as it starts, before its
/// first thread.
///
/// By default the first large piece that is freed tells malloc to keep such pieces from then on: what a burst took for
/// slow peers would stay with the process for good.
public func returnLargeMemoryToSystem() {
  // 128 KiB, as malloc begins with; set, it stays.
  mallopt(M_MMAP_THRESHOLD, 128 * 1024)
}
