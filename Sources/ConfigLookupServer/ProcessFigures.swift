// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc

/// The resource usage of this process, as the operating system reports it.
struct ProcessFigures: Sendable {
  /// The CPU time that all threads have used, in user mode and in the kernel.
  var cpuTime = Duration.zero
  var residentBytes: UInt64 = 0
  var openDescriptors: UInt64 = 0
  var maximumDescriptors: UInt64 = 0
  /// The start time of the process. It must be read early: it is the time of the first access.
  static let start = WallTime.now

  /// Reads the usage as of now.
  init() {
    var usage = rusage()
    if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
      cpuTime = [usage.ru_utime, usage.ru_stime].reduce(.zero) { $0 + .seconds($1.tv_sec) + .microseconds($1.tv_usec) }
    }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      maximumDescriptors = UInt64(limit.rlim_cur)
    }
    residentBytes = Self.residentPages() * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    openDescriptors = Self.countDescriptors()
  }

  /// The resident set size in pages: the second number of `/proc/self/statm`.
  private static func residentPages() -> UInt64 {
    let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = read(descriptor, &bytes, bytes.count)
    guard count > 0 else { return 0 }
    let numbers = bytes[..<count].split(separator: UInt8(ascii: " "))
    guard numbers.count > 1 else { return 0 }
    return UInt64(String(decoding: numbers[1], as: UTF8.self)) ?? 0
  }

  private static func countDescriptors() -> UInt64 {
    guard let folder = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(folder) }
    var count: UInt64 = 0
    while let entry = readdir(folder) {
      if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
    }
    // The descriptor of the folder itself does not count.
    return count - min(count, 1)
  }
}
