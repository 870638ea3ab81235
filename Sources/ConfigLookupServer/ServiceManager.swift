// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc

/// Notifies systemd of the server's state, by one datagram for each change. Does nothing if `NOTIFY_SOCKET` is not set.
///
/// https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
struct ServiceManager: Sendable {
  /// The path of the socket, or `@` and an abstract name.
  private let socketName: String?
  /// The interval at which ``notifyWatchdog()`` is to be called: half of the time after which systemd would act. Nil
  /// for never.
  let watchdogInterval: Duration?

  init(environment: [String: String]) {
    socketName = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
    let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
    watchdogInterval =
      socketName == nil || !isOurs
      ? nil : environment["WATCHDOG_USEC"].flatMap { UInt64($0) }.flatMap { $0 > 0 ? .microseconds($0) / 2 : nil }
  }

  func notifyReady() { send("READY=1\nSTATUS=Ready: the caches are loaded") }
  func notifyStopping() { send("STOPPING=1\nSTATUS=Draining: no new calls are accepted") }
  func notifyWatchdog() { send("WATCHDOG=1") }

  private func send(_ text: String) {
    guard let socketName else { return }
    var name = Array(socketName.utf8)
    // The kernel's representation of an abstract name begins with a zero byte.
    if name[0] == UInt8(ascii: "@") { name[0] = 0 }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    // An abstract name ends with its length, a path with a zero byte.
    let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + name.count + (name[0] == 0 ? 0 : 1) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard let length, descriptor >= 0 else { return }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    // A failure cannot be handled here: systemd itself reports a missing notification.
    _ = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, socklen_t(length))
      }
    }
  }
}
