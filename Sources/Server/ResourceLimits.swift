internal import Core
internal import Glibc

/// What the system lets this process have, checked before anything is started.
enum ResourceLimits {
  /// Descriptors beside those of clients' connections: of the database, the loops, files and HTTP.
  private static let ownDescriptors = 128
  /// Threads and allocators reserve far more address space than they use.
  private static let leastAddressSpace: UInt64 = 1 << 30

  /// Raises the limit of open descriptors as far as the process may.
  ///
  /// - Returns: The configuration with what the limits leave of it, and a warning for what they do not.
  /// - Throws: Which limit is too low to serve at all, and how to raise it.
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
      // Where it is refused, what is in force is what counts.
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
