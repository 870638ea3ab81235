// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupTelemetry
internal import Glibc
internal import MongoSource

/// The version, as `--version` and the log print it.
public let serverVersion = "0.1.0"

/// Runs the server as the process: reads flags, starts, waits for signals, and drains. Call it once, on the main
/// thread.
///
/// - Parameters:
///   - arguments: the command line without the program's name.
///   - environment: the environment variables.
/// - Returns: the exit status: 0 after a signal; 64 for a usage error in flags or environment; 69 if the server cannot
///   listen or a limit of the system is too low; 74 if the requested output cannot be written (sysexits.h).
public func runServer(arguments: [String], environment: [String: String]) -> Int32 {
  StandardStreams.prepare()
  let configuration: ServerConfiguration
  do throws(UsageError) {
    configuration = try ServerConfiguration(arguments: arguments, environment: environment)
  } catch {
    Logger.writeToStandardError("config-lookup-server: \(error.message)")
    return EX_USAGE
  }
  switch configuration.action {
  case .help: return printOut(ServerConfiguration.help)
  case .version: return printOut("config-lookup-server \(serverVersion)")
  case .manual: return printOut(ServerConfiguration.program.manualPage)
  case .completion(let shell): return printOut(ServerConfiguration.program.completionScript(for: shell))
  case .checkConfig: return check(configuration)
  case .run: return serve(configuration, ServiceManager(environment: environment))
  }
}

/// Prints a text on standard output. Returns the exit status: not 0 if some of it could not be written.
private func printOut(_ text: String) -> Int32 {
  do throws(OutputProblem) {
    try StandardStreams.write(text.hasSuffix("\n") ? text : text + "\n")
    return 0
  } catch {
    if !error.isClosedPipe { Logger.writeToStandardError("config-lookup-server: \(error)") }
    return error.exitStatus
  }
}

private func check(_ configuration: ServerConfiguration) -> Int32 {
  do throws(UsageError) {
    let warnings =
      try ResourceLimits.fit(configuration).warnings
      + configuration.checkedMongoDBURI().warnings.map { "--mongodb-uri: \($0)" }
      + ServerTLS(configuration).warnings + configuration.permissionWarnings
    for warning in warnings { Logger.writeToStandardError("config-lookup-server: warning: \(warning)") }
    _ = try configuration.credentials()
  } catch {
    Logger.writeToStandardError("config-lookup-server: \(error.message)")
    return EX_USAGE
  }
  return printOut(configuration.summary)
}

private func serve(_ given: ServerConfiguration, _ manager: ServiceManager) -> Int32 {
  let configuration: ServerConfiguration
  do throws(UsageError) {
    configuration = try ResourceLimits.fit(given)
  } catch {
    Logger.writeToStandardError("config-lookup-server: \(error.message)")
    return EX_UNAVAILABLE
  }
  returnLargeMemoryToSystem()
  if !configuration.allowsCoreDumps { refuseCoreDumps() }
  _ = ProcessFigures.start
  let format = configuration.logFormat ?? (isatty(STDERR_FILENO) == 1 ? .text : .json)
  let logger = Logger(level: configuration.logLevel, format: format)
  // Before the first thread starts: all threads inherit the mask, and only this one receives the signals.
  let signals = ProcessSignals()
  let server: ConfigLookupServer
  do {
    server = try ConfigLookupServer(configuration, logger: logger)
  } catch let failure as ListenFailure {
    Logger.writeToStandardError("config-lookup-server: \(failure.flag): \(failure.problem.message)")
    return EX_UNAVAILABLE
  } catch let error as NetworkError {
    Logger.writeToStandardError("config-lookup-server: \(error.message)")
    return EX_UNAVAILABLE
  } catch {
    Logger.writeToStandardError("config-lookup-server: \(error)")
    return EX_USAGE
  }
  logger.info(
    "listening", "Accepting connections; calls are answered once the caches are loaded",
    [
      "listen": .string("\(server.address)"), "http_listen": .string("\(server.httpAddress)"),
      "version": .string(serverVersion),
    ])

  serveUntilSignalled(server, signals, manager, logger)

  manager.notifyStopping()
  logger.info(
    "draining", "Draining: no new calls are accepted", ["seconds": .number(configuration.drainTimeout.seconds)])
  let deadline = MonotonicTime.now.advanced(by: configuration.drainTimeout)
  let done = Locked(false)
  let drain = OSThread(name: "drain") {
    // The rest of the time is reserved for the stop itself.
    let reserve = min(.seconds(1), configuration.drainTimeout / 5)
    if !server.drain(deadline: deadline.advanced(by: .zero - reserve)) {
      logger.warning("drain_incomplete", "Some calls were still open at the end of --drain-seconds")
    }
    server.stop()
    done.withLock { $0 = true }
  }
  // A second signal, or a database on which the caches' threads still wait, ends the process at once.
  let end = deadline
  while !done.withLock({ $0 }) {
    let signal = signals.wait(for: .milliseconds(10))
    if signal == SIGTERM || signal == SIGINT || MonotonicTime.now > end { _exit(0) }
  }
  drain.join()
  logger.info("stopped", "Server stopped")
  return 0
}

/// Keeps the memory of the process, which contains tokens, TLS keys and the database's password, out of core dumps.
///
/// The limit is one byte and not none: with a limit of 0 Linux still passes a dump to the program that `core_pattern`
/// names (systemd-coredump, apport), with a limit of 1 it does not (`do_coredump` in fs/coredump.c). `PR_SET_DUMPABLE`
/// would have the same effect, but it would also make `/proc/self/fd` unreadable for the metrics.
private func refuseCoreDumps() {
  let kind = __rlimit_resource_t(RLIMIT_CORE.rawValue)
  var limit = rlimit()
  guard getrlimit(kind, &limit) == 0 else { return }
  // A hard limit cannot be raised again: LimitCORE=0 stays in force.
  limit.rlim_max = min(1, limit.rlim_max)
  limit.rlim_cur = limit.rlim_max
  _ = setrlimit(kind, &limit)
}

private func serveUntilSignalled(
  _ server: ConfigLookupServer, _ signals: ProcessSignals, _ manager: ServiceManager, _ logger: Logger
) {
  var isReady = false
  var nextSign = MonotonicTime.now
  while true {
    let pause = isReady ? manager.watchdogInterval ?? .seconds(3600) : .milliseconds(20)
    switch signals.wait(for: pause) {
    case SIGHUP: server.reloadFiles()
    case nil: break
    default: return
    }
    if !isReady, server.isWarm {
      isReady = true
      manager.notifyReady()
      logger.info(
        "ready", "Server ready",
        ["listen": .string("\(server.address)"), "http_listen": .string("\(server.httpAddress)")])
    }
    if let interval = manager.watchdogInterval, MonotonicTime.now >= nextSign {
      nextSign = .now.advanced(by: interval)
      server.afterIterationOfAllLoops { manager.notifyWatchdog() }
    }
  }
}

/// SIGTERM, SIGINT and SIGHUP, which the calling thread receives one at a time.
private struct ProcessSignals {
  private var set = sigset_t()

  init() {
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGHUP)
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Waits for a signal. Returns nil if none arrives within `limit`.
  func wait(for limit: Duration) -> Int32? {
    var set = set
    let (seconds, nanoseconds) = limit.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    let signal = sigtimedwait(&set, nil, &time)
    return signal > 0 ? signal : nil
  }
}

extension ServerConfiguration {
  /// The effective configuration, for `--check-config`, without the password.
  var summary: String {
    let place = (try? MongoURI(mongoDBURI).place) ?? "MongoDB"
    return """
      The configuration is valid. The server would run with:
        database            \(place)
        agent configs       \(agentConfigs)
        prompts             \(prompts)
        source configs      \(sourceConfigs)
        lookups, watches    \(listen), gRPC and framed protobuf
        HTTP                \(httpListen)
        TLS                 \(tlsSummary)
        credentials         \(credentialsFile ?? "none: every client has all permissions")
        threads             \(threads.map(String.init) ?? "one per core")
        TTL                 \(ttl.seconds) s
        maximum staleness   \(maximumStaleness.map { "\($0.seconds) s" } ?? "no limit")
        majority lag        \(maximumMajorityLag == .zero ? "no limit" : "\(maximumMajorityLag.seconds) s")
        drain               \(drainTimeout.seconds) s
        OTLP                \(otlp.map { "metrics to \($0.target) every \($0.interval.seconds) s" } ?? "no")
        connection age      \(maximumConnectionAge == .zero ? "no limit" : "\(maximumConnectionAge.seconds) s")
      """
  }
}
