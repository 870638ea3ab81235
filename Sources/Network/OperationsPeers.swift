internal import CLibevent
internal import Core
internal import Glibc

/// When each connection of the HTTP server was last of use. Loop thread only.
///
/// evhttp does not say when a connection ends, and its own time limit begins anew with each byte: so the sockets of the
/// base are looked at from time to time. An inode tells a socket from the next one with the same descriptor.
struct OperationsPeers {
  private let idleSeconds: Double
  private var lastUse: [UInt64: MonotonicTime] = [:]

  init(idleSeconds: Double) {
    self.idleSeconds = idleSeconds
  }

  /// A whole request has come.
  mutating func heardFrom(_ descriptor: Int32, now: MonotonicTime) {
    if let inode = inode(descriptor) { lastUse[inode] = now }
  }

  /// Closes those of `sockets` that have been of no use for too long, and says how many are left.
  mutating func closeIdle(_ sockets: Set<Int32>, now: MonotonicTime) -> Int {
    var known: [UInt64: MonotonicTime] = [:]
    for socket in sockets {
      guard let inode = inode(socket) else { continue }
      let last = lastUse[inode] ?? now
      if now.seconds(since: last) > idleSeconds {
        // evhttp reads the end, and frees the connection.
        shutdown(socket, Int32(SHUT_RDWR))
      } else {
        known[inode] = last
      }
    }
    lastUse = known
    return known.count
  }

  /// The sockets that a base waits for.
  static func sockets(of base: OpaquePointer, except listener: Int32) -> Set<Int32> {
    var result: Set<Int32> = []
    withUnsafeMutablePointer(to: &result) { _ = event_base_foreach_event(base, collectDescriptor, $0) }
    return result.filter { $0 != listener && isSocket($0) }
  }
}

private func status(_ descriptor: Int32) -> stat? {
  var status = stat()
  return fstat(descriptor, &status) == 0 ? status : nil
}

private func inode(_ descriptor: Int32) -> UInt64? {
  status(descriptor).map { UInt64($0.st_ino) }
}

private func isSocket(_ descriptor: Int32) -> Bool {
  status(descriptor).map { $0.st_mode & S_IFMT == S_IFSOCK } ?? false
}

private func collectDescriptor(_: OpaquePointer?, _ event: OpaquePointer?, _ argument: UnsafeMutableRawPointer?)
  -> Int32
{
  guard let event, let argument else { return 0 }
  argument.assumingMemoryBound(to: Set<Int32>.self).pointee.insert(event_get_fd(event))
  return 0
}
