// A worker that reads its prompt for every task, and does not wait for the network to do so.
//
//     prompt-worker 127.0.0.1:50061 disease-diagnosis
//
// It has a task every 20 ms until it is interrupted; a worker of yours takes its tasks from a queue.
import ConfigLookupClient
import Glibc
import NearCache

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
  print("usage: prompt-worker HOST:PORT[,HOST:PORT...] AGENT_ID")
  exit(64)
}
let agentID = arguments[2]
var configuration = ClientConfiguration(addresses: arguments[1].split(separator: ",").map(String.init))
// A change brings the new prompt along, so that not even the first task after it asks a server.
configuration.pushesValues = true
let client = try ConfigLookupClient(configuration)
// From here on every change is heard of.
try await client.ready()

for task in 1... {
  let answer = try await client.prompt(agentID: agentID)
  let prompt = answer.value.map { "prompt \($0.version), \($0.content.template.prefix(40))" } ?? "no prompt is in force"
  // The work would be here.
  let fetches = client.statistics?.fetches ?? 0
  print("task \(task): \(prompt)\(answer.isStale ? ", which may be old" : "") (asked a server \(fetches) times so far)")
  // Who reads a pipe sees each line when it comes.
  fflush(nil)
  try await Task.sleep(for: .milliseconds(20))
}
