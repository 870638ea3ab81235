// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import Glibc
import TestSupport
import Testing

extension SocketTests {
  struct ExhaustionTests {
    /// This test runs in its own process, because the limit of open files applies to the whole process.
    @Test func withoutDescriptorsTheServerWaitsLogsALittleAndRecovers() async {
      await #expect(processExitsWith: .success) {
        let lines = Locked<[String]>([])
        let logger = Logger(level: .warning, sink: { line in lines.withLock { $0.append(line) } })
        let group = try EventLoopGroup(count: 1)
        let server = try ConnectionServer(
          endpoint: FramedEndpoint(router: testRouter(StreamLog()), group: group), group: group,
          configuration: .init(listen: HostAndPort(host: "127.0.0.1", port: 0)), logger: logger)
        var fillers = [open("/dev/null", O_RDONLY)]
        let maximum = rlim_t(fillers[0] + 20)
        var limit = rlimit(rlim_cur: maximum, rlim_max: maximum)
        precondition(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        while case let filler = open("/dev/null", O_RDONLY), filler >= 0 { fillers.append(filler) }
        for _ in 0..<5 { close(fillers.removeLast()) }
        // Each connection takes one descriptor of the client and one of the server. Because five is odd, the last
        // connection is not accepted.
        var clients: [FramedClient] = []
        while let client = try? FramedClient(server.address.hostAndPort) { clients.append(client) }
        while lines.withLock({ $0.isEmpty }) { usleep(500) }
        // This time has three pauses of the listener, and nearly no work.
        let before = clock()
        usleep(300_000)
        precondition(Double(clock() - before) / Double(CLOCKS_PER_SEC) < 0.15, "it spins")
        for filler in fillers { close(filler) }
        for client in clients {
          let reply = try client.call("Echo", [1])
          precondition(reply.status == .ok)
        }
        // The number of log lines is limited, even if accepting fails often.
        precondition(lines.withLock { $0.count <= 5 && $0.allSatisfy { $0.contains("accept_failed") } })
        server.stop()
        precondition(server.waitUntilDrained(deadline: soon()))
        group.stop()
      }
    }
  }
}
