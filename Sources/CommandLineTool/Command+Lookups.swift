// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

extension Command {
  /// The commands that ask for configs.
  static let lookupCommands: [Command] = [
    Command(
      description: CommandDescription(
        "get", group: Group.lookups, summary: "Print the config in force for a key",
        usage: [
          "get agent AGENT_ID [FLAG...]", "get prompt AGENT_ID [--variant VARIANT] [--subject TEXT] [FLAG...]",
          "get prompt PROMPT_ID --by-prompt-id [FLAG...]", "get source SOURCE_ID [FLAG...]",
          "get source --container NAME | --ai-agent ID [FLAG...]",
        ],
        description: [
          "Looks up one agent config, prompt or source config and prints it.",
          "Text output begins with a comment line: the revision and the etag of the value, and the time since the "
            + "server last verified it. STALE in this line means that this time exceeds the server's TTL.",
          "The exit status is 1 where the server has no such key.",
        ],
        arguments: [.oneOf(entityNames), .text], flags: descriptions(ToolOptions.getFlags + ToolOptions.lookupFlags),
        sections: clientSections,
        examples: [
          ("Print an agent config", "config-lookup get agent disease-diagnosis"),
          (
            "Print the prompt that an A/B test selects for a subject, as JSON",
            "config-lookup get prompt disease-diagnosis --subject farmer-17 --json"
          ),
          ("Print the source config of a landing container", "config-lookup get source --container quality-events"),
        ]),
      run: runGet),
    Command(
      description: CommandDescription(
        "resolve", group: Group.lookups, summary: "Print the source of a blob and the fields in its path",
        usage: ["resolve CONTAINER PATH [FLAG...]"],
        description: [
          "Finds the source config to which a blob belongs, and prints its source_id and the fields that its path "
            + "pattern extracts from the path.",
          "The exit status is 1 where no path pattern matches.",
        ],
        arguments: [.text, .text], flags: descriptions(ToolOptions.lookupFlags), sections: clientSections,
        examples: [
          (
            "Print the fields of a path", "config-lookup resolve quality-events results/F-12/WM-4521/batch-001.json"
          )
        ]),
      run: runResolve),
    Command(
      description: CommandDescription(
        "list", group: Group.lookups, summary: "List the agent configs, prompts or source configs",
        usage: [
          "list agents [--type TYPE] [FLAG...]", "list prompts [FLAG...]", "list sources [--mode MODE] [FLAG...]",
        ],
        description: [
          "Lists the keys of a collection with the most important fields. Text output is one table with a header. JSON "
            + "and YAML output have one object for each page of up to 100 keys."
        ],
        arguments: [.oneOf(["agents", "prompts", "sources"])], flags: descriptions(ToolOptions.listFlags),
        sections: clientSections,
        examples: [
          ("List all agents", "config-lookup list agents"),
          ("List the sources that are pulled on a schedule", "config-lookup list sources --mode scheduled_pull"),
        ]),
      run: runList),
    Command(
      description: CommandDescription(
        "watch", group: Group.lookups, summary: "Print a line for each change of an answer",
        usage: [
          "watch [FLAG...]", "watch --follow [--other-server HOST:PORT] [FLAG...]",
        ],
        description: [
          "Prints a line for each notice of the server: UPSERT or DELETE for a key whose answer changed, RESYNC where "
            + "changes may be missing and cached values must be discarded, and PROGRESS at an interval.",
          "The command ends when the connection is lost, unless --follow is given.",
        ],
        flags: descriptions(ToolOptions.watchFlags), sections: clientSections,
        examples: [
          ("Watch all agent configs", "config-lookup watch --entity agent"),
          (
            "Watch the keys with a prefix, across restarts of two servers",
            "config-lookup watch --follow --prefix disease- --other-server config-2:50061"
          ),
          ("Wait for the next change of a key", "config-lookup watch --key disease-diagnosis --count 1 --values"),
        ]),
      run: runWatch),
  ]

  /// What is printed about flags.
  static func descriptions(_ flags: [Flag<ToolOptions>]) -> [FlagDescription] { flags.map(FlagDescription.init) }
}
