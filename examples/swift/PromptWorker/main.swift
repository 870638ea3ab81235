// SPDX-License-Identifier: Apache-2.0
// A worker that needs its prompt for every task and gets it without waiting for the network.
//
//     prompt-worker 127.0.0.1:50061 disease-diagnosis
//
// It does a task every 20 ms until it is interrupted. A real worker would take its tasks from a queue.
import ConfigLookupClient
import Foundation
import Glibc
import NearCache

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
  printError("usage: prompt-worker HOST:PORT[,HOST:PORT...] AGENT_ID")
  exit(EX_USAGE)
}
do {
  try await work(servers: arguments[1].split(separator: ",").map(String.init), agentID: arguments[2])
} catch let error as ConfigLookupError {
  printError("prompt-worker: \(error.message)")
  exit(error.code == .invalidArgument ? EX_USAGE : EX_UNAVAILABLE)
}

/// Runs tasks, each with the prompt in force at that moment.
func work(servers: [String], agentID: String) async throws {
  var configuration = ClientConfiguration(addresses: servers)
  // Notices carry the new prompt, so that not even the first task after a change needs a request to a server.
  configuration.pushesValues = true
  let client = try ConfigLookupClient(configuration)
  printError("prompt-worker: connecting to \(servers.joined(separator: " or "))")
  // From here on every change reaches the client. Throws if no server can be reached within ten seconds.
  try await client.ready()

  for task in 1... {
    let answer = try await client.prompt(agentID: agentID)
    let prompt =
      answer.value.map { "prompt \($0.version), \($0.content.template.prefix(40))" } ?? "no active prompt"
    // The work of the task would be here.
    let fetches = client.statistics?.fetches ?? 0
    print(
      "task \(task): \(prompt)\(answer.isStale ? " (stale)" : "") (server calls so far: \(fetches))")
    // The reader of a pipe sees each line when it is printed.
    guard fflush(nil) == 0 else {
      printError("prompt-worker: standard output: \(String(cString: strerror(errno)))")
      exit(EX_IOERR)
    }
    try await Task.sleep(for: .milliseconds(20))
  }
}

/// Writes a line to standard error.
func printError(_ text: String) {
  FileHandle.standardError.write(Data("\(text)\n".utf8))
}
