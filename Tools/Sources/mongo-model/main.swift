// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import MongoModel

// Runs a model of a MongoDB deployment for programs that measure the service, and prints its connection string.

private let usage = """
  Usage: mongo-model [--personality NAME] [--members N] [--arbiters N] [--shards N] [--routers N]

  Prints the connection string of a model of MongoDB on 127.0.0.1, and runs until it is ended by a signal.
  NAME is one of \(Personality.all.map(\.name).joined(separator: ", ")).
  """

private func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data("\(message)\n\(usage)\n".utf8))
  exit(64)
}

var numbers = ["--members": 1, "--arbiters": 0, "--shards": 1, "--routers": 0]
var personality = Personality.mongoDB80
var arguments = CommandLine.arguments.dropFirst()
while let name = arguments.popFirst() {
  if name == "--help" {
    print(usage)
    exit(0)
  }
  guard let value = arguments.popFirst() else { fail("\(name) needs a value") }
  if name == "--personality" {
    guard let known = Personality.all.first(where: { $0.name == value }) else { fail("no personality \(value)") }
    personality = known
  } else if numbers[name] != nil, let number = Int(value), (0...16).contains(number) {
    numbers[name] = number
  } else {
    fail("\(name) \(value): unknown or out of range")
  }
}

do {
  let model = try MongoModel(
    personality, members: numbers["--members"] ?? 1, arbiters: numbers["--arbiters"] ?? 0,
    shards: numbers["--shards"] ?? 1, routers: numbers["--routers"] ?? 0)
  FileHandle.standardOutput.write(Data("\(model.uri)\n".utf8))
  while true { sleep(1000) }
} catch {
  fail("\(error)")
}
