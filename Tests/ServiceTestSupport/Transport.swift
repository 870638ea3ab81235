// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupNetwork
public import ConfigLookupRPC
internal import FramedTransport
internal import GRPCTransport

/// The protocol of a test's client.
public enum Transport: Sendable, CaseIterable {
  /// The framed protocol, and gRPC.
  case frames, gRPC

  /// Connects to a server.
  ///
  /// - Parameter address: the address of the server.
  /// - Returns: the connection.
  /// - Throws: the error of the connection.
  public func connect(_ address: HostAndPort) throws -> any RPCClient {
    switch self {
    case .frames: try FramedClient(address)
    case .gRPC: try GRPCClient(address, service: "configlookup.v1.ConfigLookup")
    }
  }
}
