internal import FramedTransport
internal import GRPCTransport
package import Network
package import RPC

/// What a test's client speaks.
package enum Transport: Sendable, CaseIterable {
  case frames, gRPC

  package func connect(_ address: HostAndPort) throws -> any RPCClient {
    switch self {
    case .frames: try FramedClient(address)
    case .gRPC: try GRPCClient(address, service: "configlookup.v1.ConfigLookup")
    }
  }
}
