// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import TestSupport

/// A process of the `config-lookup-server` that was built beside this program. It serves the collections of
/// ``Collection``.
final class ServerProcess {
  let address: HostAndPort
  private let child: ChildProcess

  init(_ collection: Collection) throws {
    let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let path = folder.appendingPathComponent("config-lookup-server").path
    guard FileManager.default.isExecutableFile(atPath: path) else { throw TestFailure("\(path) has not been built") }
    child = try ChildProcess(
      path,
      [
        "--mongodb-uri", collection.uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
        "--agent-configs", collection.name, "--log-format", "json",
        // All connections come from one address, up to three times `subscribers` at once.
        "--max-connections-per-address", "10000",
      ])
    let line = try child.waitForLine("the server is ready", timeout: .seconds(60)) {
      $0.contains("\"event\":\"ready\"")
    }
    let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    guard let listen = fields?["listen"] as? String else { throw TestFailure("no address in: \(line)") }
    address = try HostAndPort(listen)
  }

  /// The resident memory of the process in bytes: the current value, and the peak since ``forgetPeak()``.
  func memory() throws -> (resident: Int, peak: Int) {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/status", encoding: .utf8)
    func field(_ name: String) throws -> Int {
      let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
      guard let number = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) else {
        throw TestFailure("no \(name) in /proc/\(child.pid)/status; the server's last lines:\n\(child.lastLines)")
      }
      return number * 1024
    }
    return (try field("VmRSS"), try field("VmHWM"))
  }

  func forgetPeak() throws {
    // The file is opened without truncation, because the kernel only allows writing to it.
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: "/proc/\(child.pid)/clear_refs"))
    try file.write(contentsOf: Data("5".utf8))
    try file.close()
  }

  /// The CPU time of the process in seconds.
  func processorSeconds() throws -> Double {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/stat", encoding: .utf8)
    // The process's name may contain any character, so the fields are counted after it: the first is the state, and the
    // 12th and 13th are the ticks of user and system time.
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else {
      throw TestFailure("no times in: \(text)")
    }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  func descriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/fd").count
  }

  /// The log lines of an event.
  func lines(_ event: String) -> [String] {
    (child.outputLines + child.errorLines).filter { $0.contains("\"event\":\"\(event)\"") }
  }

  func stop() throws {
    let status = try child.stop(timeout: .seconds(30))
    guard status == .exited(0) else { throw TestFailure("the server ended with \(status):\n\(child.lastLines)") }
  }
}
