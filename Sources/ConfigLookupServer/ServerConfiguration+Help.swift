// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

extension ServerConfiguration {
  /// The text that `--help` prints.
  public static var help: String { program.help }

  /// The source of the help text, the manual page and the completion scripts.
  static let program = ProgramDescription(
    name: "config-lookup-server", manualSection: 8, version: serverVersion,
    summary: "serve the configs in force from memory, over gRPC and framed protobuf",
    description: [
      "Reads three MongoDB collections (agent configs, prompts, source configs) into memory, keeps them up to date "
        + "with change streams, and serves lookups and watches over gRPC and framed protobuf on one port.",
      "Each flag can also be set by the environment variable that is listed with it; the flag takes precedence. SIGHUP "
        + "reloads the files that flags name. SIGTERM and SIGINT drain the server: it accepts no new calls, and open "
        + "calls may finish.",
    ],
    sections: flags.groups.map { FlagSection($0) },
    notes: [
      (
        "OpenTelemetry",
        [
          "Metrics are served at /metrics of the HTTP port. They are also exported by OTLP where "
            + "OTEL_EXPORTER_OTLP_ENDPOINT (http://HOST:4318) or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is set. The "
            + "exporter reads OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_METRIC_EXPORT_INTERVAL, "
            + "OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_PROTOCOL (http/protobuf), "
            + "OTEL_METRICS_EXPORTER and OTEL_SDK_DISABLED as OpenTelemetry specifies them."
        ]
      ),
      (
        "systemd",
        [
          "Where NOTIFY_SOCKET is set (Type=notify), the server notifies systemd when it is ready and when it stops, "
            + "and it answers the watchdog."
        ]
      ),
    ],
    exitStatuses: [
      (0, "Ended by a signal and drained."),
      (64, "Usage error in the flags or the environment."),
      (69, "Cannot listen, or a limit of the system is too low."),
      (74, "Standard output cannot be written."),
    ],
    seeAlso: ["config-lookup(1)"])
}
