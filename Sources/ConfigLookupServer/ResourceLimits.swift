// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc

/// The limits of the operating system for this process, which are checked before anything is started.
enum ResourceLimits {
  /// Descriptors in addition to those of client connections: for the database, the event loops, files and HTTP.
  private static let ownDescriptors = 128
  /// The required address space. Threads and allocators reserve far more of it than they use.
  private static let leastAddressSpace: UInt64 = 1 << 30

  /// Raises the limit of open descriptors as far as the process may.
  ///
  /// - Returns: the configuration, reduced to what the limits permit, with a warning for what they do not.
  /// - Throws: the limit that is too low to serve at all, with the way to raise it.
  static func fit(_ given: ServerConfiguration) throws(UsageError) -> ServerConfiguration {
    let addressSpace = limit(RLIMIT_AS).rlim_cur
    if addressSpace < leastAddressSpace {
      throw UsageError(
        "the limit of address space is \(addressSpace / 1024) KiB, and at least \(leastAddressSpace / 1024) KiB "
          + "are needed; raise it (ulimit -v), and limit memory with a control group instead (MemoryMax=)")
    }
    var descriptors = limit(RLIMIT_NOFILE)
    if descriptors.rlim_cur < descriptors.rlim_max {
      descriptors.rlim_cur = descriptors.rlim_max
      // If the system refuses, the limit in force counts.
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
      descriptors = limit(RLIMIT_NOFILE)
    }
    let open = Int(clamping: descriptors.rlim_cur)
    guard open >= 2 * ownDescriptors else {
      throw UsageError(
        "the limit of open file descriptors is \(open), and at least \(2 * ownDescriptors) are needed: one for each "
          + "connection, and \(ownDescriptors) more; raise it (ulimit -n, or LimitNOFILE= for systemd)")
    }
    let connections = open - ownDescriptors
    guard given.maximumConnections > connections else { return given }
    var configuration = given
    configuration.maximumConnections = connections
    configuration.warnings.append(
      "--max-connections: \(given.maximumConnections) cannot be reached: the limit of open file descriptors is "
        + "\(open), which leaves \(connections); raise it (ulimit -n, or LimitNOFILE= for systemd)")
    return configuration
  }

  private static func limit(_ resource: __rlimit_resource) -> rlimit {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(resource.rawValue), &limit)
    return limit
  }
}
