internal import Core
internal import Glibc
internal import MongoSource
internal import Network
internal import OpenTelemetry

/// The version that `--version` and the log name.
public let serverVersion = "0.1.0"

/// Runs the server as the process: flags, start, signals, drain. Returns the exit status.
///
/// 0 after a signal; 64 for a mistake in flags or environment, 69 where it cannot listen or a limit of the system is
/// too low, 74 where what was asked for cannot be printed (sysexits.h).
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
  case .checkConfig: return check(configuration)
  case .run: return serve(configuration, ServiceManager(environment: environment))
  }
}

/// Prints a text on standard output. Returns the exit status, which says whether all of it was written.
private func printOut(_ text: String) -> Int32 {
  do throws(OutputProblem) {
    try StandardStreams.write(text + "\n")
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
  // Before the first thread starts: all threads inherit the mask, and only this one takes the signals.
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

  manager.isDraining()
  logger.info("draining", "Draining: no new calls are accepted", ["seconds": .number(configuration.drainSeconds)])
  let deadline = MonotonicTime.now.advanced(bySeconds: configuration.drainSeconds)
  let done = Locked(false)
  let drain = OSThread(name: "drain") {
    // What is left of the time is for the end itself.
    let reserve = min(1, configuration.drainSeconds / 5)
    if !server.drain(deadline: deadline.advanced(bySeconds: -reserve)) {
      logger.warning("drain_incomplete", "Some calls were still open at the end of --drain-seconds")
    }
    server.stop()
    done.withLock { $0 = true }
  }
  // A second signal, or a database that does not let go of the caches' threads, ends it at once.
  let end = deadline
  while !done.withLock({ $0 }) {
    let signal = signals.wait(seconds: 0.01)
    if signal == SIGTERM || signal == SIGINT || MonotonicTime.now > end { _exit(0) }
  }
  drain.join()
  logger.info("stopped", "Server stopped")
  return 0
}

/// Keeps the memory of the process, which holds tokens, keys of TLS and the database's password, out of core dumps.
///
/// One byte and not none: a limit of 0 does not keep Linux from handing a dump to the program that `core_pattern` names
/// (systemd-coredump, apport), a limit of 1 does (`do_coredump` in fs/coredump.c). `PR_SET_DUMPABLE` would do it too,
/// and would take `/proc/self/fd` away from the metrics.
private func refuseCoreDumps() {
  let kind = __rlimit_resource_t(RLIMIT_CORE.rawValue)
  var limit = rlimit()
  guard getrlimit(kind, &limit) == 0 else { return }
  // A hard limit cannot be raised: LimitCORE=0 stays.
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
    let pause = isReady ? manager.watchdogSeconds ?? 3600 : 0.02
    switch signals.wait(seconds: pause) {
    case SIGHUP: server.reloadFiles()
    case nil: break
    default: return
    }
    if !isReady, server.isWarm {
      isReady = true
      manager.isReady()
      logger.info(
        "ready", "Server ready",
        ["listen": .string("\(server.address)"), "http_listen": .string("\(server.httpAddress)")])
    }
    if let seconds = manager.watchdogSeconds, MonotonicTime.now >= nextSign {
      nextSign = .now.advanced(bySeconds: seconds)
      server.whenAllLoopsTurn { manager.isAlive() }
    }
  }
}

/// SIGTERM, SIGINT and SIGHUP, taken one at a time by the thread that asks.
private struct ProcessSignals {
  private var set = sigset_t()

  init() {
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGHUP)
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// The one that came within `seconds`, if one did.
  func wait(seconds: Double) -> Int32? {
    var set = set
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
    let signal = sigtimedwait(&set, nil, &time)
    return signal > 0 ? signal : nil
  }
}

extension ServerConfiguration {
  /// What would run, for `--check-config`: no password.
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
        TTL                 \(ttlSeconds) s
        maximum staleness   \(maximumStalenessSeconds.map { "\($0) s" } ?? "no limit")
        drain               \(drainSeconds) s
        OTLP                \(otlp.map { "metrics to \($0.target) every \($0.intervalSeconds) s" } ?? "no")
        connection age      \(maximumConnectionAgeSeconds == 0 ? "no limit" : "\(maximumConnectionAgeSeconds) s")
      """
  }
}
