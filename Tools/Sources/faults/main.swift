// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import TestSupport

private let help = """
  usage: script/faults [FAULT...] [--short] [--seconds N] [--seed N]
                     [--list]

  Breaks a real database, the network to it and real servers, while writers write and subscribers watch two servers,
  and judges every lookup and every notice against what was written. Exit status 1 if a guarantee was broken.

    FAULT          only these; see --list
    --short        a few of them, briefly: about a minute
    --seconds N    how long each fault is tried again and again (default 8)
    --seed N       random numbers of an earlier run
    --logs FOLDER  where logs go when a guarantee was broken
    --list         names the faults

  """

/// The parsed command line.
private struct Request {
  var faults: [Fault] = []
  var options = Bench.Options()

  init(_ arguments: [String]) throws(UsageError) {
    options.seed = .random(in: 1...999_999)
    var seconds: Double?
    var rest = arguments[...]
    func number(_ flag: String) throws(UsageError) -> Double {
      guard let text = rest.popFirst(), let number = Double(text), number > 0 else {
        throw UsageError("\(flag) takes a number")
      }
      return number
    }
    while let argument = rest.popFirst() {
      switch argument {
      case "--short": options.isShort = true
      case "--seconds": seconds = try number(argument)
      case "--seed": options.seed = UInt64(try number(argument))
      case "--logs": options.logFolder = URL(fileURLWithPath: rest.popFirst() ?? "")
      default:
        guard let fault = Fault.all.first(where: { $0.name == argument }) else {
          throw UsageError("there is no fault and no flag \(argument); see --list")
        }
        faults.append(fault)
      }
    }
    if faults.isEmpty { faults = Fault.all.filter { $0.isShort || !options.isShort } }
    options.seconds = seconds ?? (options.isShort ? 1 : 8)
  }
}

/// Ends the program if a fault takes longer than its maximum time, so that no run blocks indefinitely.
private final class Watchdog: Sendable {
  private let deadline = Locked((name: "", time: MonotonicTime.now.advanced(by: .seconds(3600))))

  init() {
    Thread.detachNewThread { [deadline] in
      while true {
        Thread.sleep(forTimeInterval: 1)
        let (name, time) = deadline.withLock { $0 }
        guard MonotonicTime.now > time else { continue }
        output("\(name): has not ended in time; giving up")
        exit(1)
      }
    }
  }

  func expect(_ name: String, seconds: Double) {
    deadline.withLock { $0 = (name, .now.advanced(by: .seconds(seconds))) }
  }
}

private func run(_ request: Request) -> Bool {
  let watchdog = Watchdog()
  var reports: [Report] = []
  output("\(request.faults.count) faults, seed \(request.options.seed)")
  for fault in request.faults {
    output("\(fault.name): \(fault.what)")
    watchdog.expect(fault.name, seconds: 300 + 3 * request.options.seconds)
    do {
      let report = try Bench(fault, request.options).run()
      output("  " + report.details.joined(separator: "\n  "))
      output(Report.heading)
      output(report.line)
      for line in report.findings { output(line) }
      reports.append(report)
    } catch {
      output("\(fault.name): could not be set up: \(error)")
      return false
    }
  }
  if reports.count > 1 {
    output("\n" + Report.heading)
    for report in reports { output(report.line) }
  }
  let broken = reports.filter { !$0.isGood }
  output(broken.isEmpty ? "every guarantee was kept" : "BROKEN under: \(broken.map(\.fault).joined(separator: ", "))")
  return broken.isEmpty
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.contains("--help") || arguments.contains("-h") {
  output(help)
  exit(0)
}
if arguments.contains("--list") {
  for fault in Fault.all {
    output("\(fault.name)\(String(repeating: " ", count: max(1, 25 - fault.name.count)))\(fault.what)")
  }
  exit(0)
}
do {
  exit(run(try Request(arguments)) ? 0 : 1)
} catch {
  FileHandle.standardError.write(Data("faults: \(error)\n".utf8))
  exit(64)
}
