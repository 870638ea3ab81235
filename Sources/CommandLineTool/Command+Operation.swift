// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

extension Command {
  /// The commands for operators.
  static let operationCommands: [Command] = [
    Command(
      description: CommandDescription(
        "status", group: Group.operation, summary: "Print the state of each cache",
        usage: ["status [FLAG...]"],
        description: [
          "Prints a table of the server's caches: whether they are valid, the number of keys, the time since they were "
            + "last verified, and the documents that are rejected or in conflict.",
          "The exit status is 75 where a cache is not loaded or was not verified within the TTL.",
        ],
        sections: clientSections,
        examples: [
          ("Print the state", "config-lookup status"),
          (
            "Print the rejected documents, with jq",
            "config-lookup status --json | jq '.[].rejected?[]?'"
          ),
        ]),
      run: runStatus),
    Command(
      description: CommandDescription(
        "health", group: Group.operation, summary: "Check whether the server accepts calls",
        usage: ["health [--http-server HOST:PORT] [FLAG...]"],
        description: [
          "Prints \"serving\" or \"not serving\", for health checks of containers. It needs no permission.",
          "The exit status is 0 where the server accepts calls, and 69 where it does not or cannot be reached.",
        ],
        flags: descriptions(ToolOptions.healthFlags), sections: clientSections,
        examples: [
          ("Check over gRPC", "config-lookup health"),
          ("Check over HTTP", "config-lookup health --http-server 127.0.0.1:9464"),
        ]),
      run: runHealth),
    Command(
      description: CommandDescription(
        "invalidate", group: Group.operation, summary: "Reload one collection, or all",
        usage: ["invalidate [agent|prompt|source] [FLAG...]"],
        description: ["Asks the server to reload the collections now. It needs the permission admin."],
        arguments: [.oneOf(entityNames)], sections: clientSections,
        examples: [("Reload the prompts", "config-lookup invalidate prompt")]),
      run: runInvalidate),
    Command(
      description: CommandDescription(
        "seed", group: Group.operation, summary: "Validate documents and write them to MongoDB",
        usage: ["seed FOLDER [--mongodb-uri URI] [FLAG...]"],
        description: [
          "Reads agent_configs.json, prompts.json and source_configs.json of a folder, each a JSON array of documents "
            + "(MongoDB Extended JSON); a file may be missing. Validates all documents by the rules of the server and "
            + "of MongoDB, and then writes them in one transaction.",
          "A document replaces the one with the same _id, or, where it has no _id, the one with the same id or "
            + "source_id.",
          "The exit status is 65 where a document breaks a rule; then nothing is written.",
        ],
        arguments: [.directory], flags: descriptions(ToolOptions.seedFlags),
        sections: [ToolOptions.outputFlags.title, ToolOptions.generalFlags.title],
        examples: [
          (
            "Load the documents of deploy/seed",
            "config-lookup seed deploy/seed --mongodb-uri mongodb://127.0.0.1:27017"
          )
        ]),
      run: runSeed),
    Command(
      description: CommandDescription(
        "bench", group: Group.operation, summary: "Measure the throughput and latency of lookups",
        usage: ["bench [--connections N] [--depth N] [--seconds SECONDS] [FLAG...]"],
        description: [
          "Looks up all agent configs of the server in turn, and prints the calls per second and the latency of a "
            + "block of --depth calls."
        ],
        flags: descriptions(ToolOptions.benchFlags), sections: clientSections,
        examples: [
          ("Measure 16 connections with one open call each", "config-lookup bench"),
          ("Measure throughput over gRPC", "config-lookup bench --grpc --connections 4 --depth 100 --seconds 10"),
        ]),
      run: runBench),
  ]
}
