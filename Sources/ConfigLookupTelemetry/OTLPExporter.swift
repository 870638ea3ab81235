// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
internal import ConfigLookupNetwork

/// Sends metrics by OTLP over HTTP at an interval, on a thread of its own, so that nothing else waits for the
/// collector. Any thread.
///
/// A collector that is unreachable causes one log line, and one more when it is reachable again. Nothing is buffered
/// for it: all figures are cumulative from the start of the process, so the next export contains everything that the
/// lost one did.
public final class OTLPExporter: Sendable {
  private struct State: Sendable {
    var isStopped = false
    var hasFailed = false
  }

  private let settings: OTLPSettings
  private let version: String
  private let start: WallTime
  private let metrics: @Sendable () -> Metrics
  private let logger: Logger
  private let state = Locked(State())
  private let thread = Locked<OSThread?>(nil)

  /// Makes an exporter, which does nothing until ``run()``.
  ///
  /// - Parameters:
  ///   - settings: the endpoint, the resource and the interval.
  ///   - version: the version of the service.
  ///   - start: the time from which on the figures are cumulative.
  ///   - logger: logs the start, and changes of the collector's availability.
  ///   - metrics: returns the figures as of now. Called on the exporter's thread.
  public init(
    _ settings: OTLPSettings, version: String, since start: WallTime, logger: Logger,
    metrics: @escaping @Sendable () -> Metrics
  ) {
    self.settings = settings
    self.version = version
    self.start = start
    self.logger = logger
    self.metrics = metrics
  }

  /// Starts the thread. The caller must call ``stop()`` in the end.
  public func run() {
    logger.info(
      "otlp_export", "Exporting metrics by OTLP",
      ["to": .string(settings.target), "interval_seconds": .number(settings.interval.seconds)])
    thread.withLock { $0 = OSThread(name: "otlp") { self.exportUntilStopped() } }
  }

  /// Sends the last figures, unless the previous export failed, and waits for the end of the thread.
  public func stop() {
    state.withLock { $0.isStopped = true }
    state.signal()
    let running = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    running?.join()
  }

  private func exportUntilStopped() {
    while true {
      let end = MonotonicTime.now.advanced(by: settings.interval)
      let isStopped = state.wait(until: end) { $0.isStopped ? true : nil } == true
      if isStopped, state.withLock({ $0.hasFailed }) { return }
      export(isLast: isStopped)
      if isStopped { return }
    }
  }

  private func export(isLast: Bool) {
    let request = OTLPRequest(
      resource: settings.resource, version: version, startNanoseconds: nanoseconds(start),
      nowNanoseconds: nanoseconds(.now))
    let timeout = isLast ? min(settings.timeout, TelemetryLimits.lastExportTimeout) : settings.timeout
    let post = HTTPExchange(
      "POST", settings.path, to: settings.address, peer: "the collector",
      headers: settings.headers.map { ($0.name, $0.value) } + [
        ("content-type", "application/x-protobuf"), ("user-agent", "OTel-OTLP-Exporter-ConfigLookup/\(version)"),
      ])
    do throws(NetworkError) {
      let deadline = MonotonicTime.now.advanced(by: timeout)
      let status = try post.send(
        request.encoded(metrics()),
        connectDeadline: min(deadline, .now.advanced(by: TelemetryLimits.connectTimeout)), deadline: deadline
      ) { !isLast && self.state.withLock { $0.isStopped } }.status
      if (200..<300).contains(status) { succeeded() } else { failed("the collector replied with status \(status)") }
    } catch {
      failed(error.message)
    }
  }

  private func succeeded() {
    let isBack = state.withLock { state in
      defer { state.hasFailed = false }
      return state.hasFailed
    }
    if isBack { logger.info("otlp_export_recovered", "Metrics are exported again", ["to": .string(settings.target)]) }
  }

  private func failed(_ problem: String) {
    let isNews = state.withLock { state in
      defer { state.hasFailed = true }
      return !state.hasFailed && !state.isStopped
    }
    guard isNews else { return }
    logger.warning(
      "otlp_export_failed", "Metrics cannot be exported; retrying every interval, and logging when it succeeds",
      ["to": .string(settings.target), "problem": .string(problem)])
  }

  private func nanoseconds(_ time: WallTime) -> UInt64 {
    UInt64(max(0, time.milliseconds)) * 1_000_000
  }
}
