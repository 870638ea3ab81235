// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// A collector with OpenTelemetry's own messages, in Python: Tests/Interop/otlp_receiver.py.
final class OTLPReceiver {
  struct Export {
    let path: String
    let headers: [String: String]
    let resource: [String: String]
    let units: [String: String]
    /// The values by name and labels, as `/metrics` has them.
    let samples: [String: Double]
  }

  let address: HostAndPort
  private let child: ChildProcess

  /// - Parameter port: 0 for a free port.
  init(port: UInt16 = 0) throws {
    child = try ChildProcess(
      PythonEnvironment.command("python"), ["-B", "Tests/Interop/otlp_receiver.py", "\(port)"], folder: packageRoot)
    let line = try child.waitForLine("it listens") { $0.hasPrefix("listening ") }
    address = HostAndPort(host: "127.0.0.1", port: try #require(UInt16(line.dropFirst("listening ".count))))
  }

  /// The exports received so far.
  var exports: [Export] {
    get throws {
      try child.outputLines.dropFirst().map { line in
        let fields = try jsonObject(line)
        if let problem = fields["wrong"] { throw TestFailure("\(problem)") }
        return Export(
          path: try #require(fields["path"] as? String), headers: try #require(fields["headers"] as? [String: String]),
          resource: try #require(fields["resource"] as? [String: String]),
          units: try #require(fields["units"] as? [String: String]),
          samples: try #require(fields["samples"] as? [String: NSNumber]).mapValues(\.doubleValue))
      }
    }
  }
}

/// A listening socket that never replies.
final class SilentListener {
  let port: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var port: UInt16 = 0
    for _ in 0..<100 where port == 0 {
      let free = try freePort()
      if atLoopback(free, descriptor, { bind($0, $1, $2) }) { port = free }
    }
    self.port = port
    guard port > 0, listen(descriptor, 8) == 0 else { throw TestFailure("cannot listen") }
  }

  deinit { close(descriptor) }

  /// Waits for a connection. It is left to the kernel, which buffers what is sent.
  func waitForClient() throws {
    guard waitForSocket(descriptor, writable: false, deadline: soon()) else { throw TestFailure("nobody came") }
  }
}
