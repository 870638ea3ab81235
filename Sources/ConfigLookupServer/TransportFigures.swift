// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupNetwork
internal import FramedTransport
internal import GRPCTransport

/// The counters of one of the two transports, as of one moment.
struct TransportFigures {
  /// The value of the label `protocol`.
  let name: String
  let calls: [CallMeter.Calls]
  /// Open calls that are not answered in the event-loop iteration in which they arrive: watches, and lookups that wait.
  let openStreams: UInt64
  /// Connections that were ended because of the peer's behaviour, by reason.
  let endedConnections: [(reason: String, count: UInt64)]
  /// Requests that were no calls of the protocol, by reason.
  let rejectedRequests: [(reason: String, count: UInt64)]

  init(_ endpoint: FramedEndpoint) {
    name = "framed"
    calls = endpoint.calls
    openStreams = open(endpoint.counter(.streamsOpened), endpoint.counter(.streamsEnded))
    endedConnections = [("protocol_error", endpoint.counter(.protocolErrors)), ("flood", endpoint.counter(.floods))]
    rejectedRequests = []
  }

  init(_ endpoint: GRPCEndpoint) {
    name = "grpc"
    calls = endpoint.calls
    openStreams = open(endpoint.counter(.streamsOpened), endpoint.counter(.streamsEnded))
    endedConnections = [
      ("protocol_error", endpoint.counter(.protocolErrors)), ("flood", endpoint.counter(.floods)),
      ("keepalive_timeout", endpoint.counter(.keepaliveTimeouts)),
    ]
    rejectedRequests = [
      ("not_grpc", endpoint.counter(.notGRPC)), ("malformed", endpoint.counter(.malformedRequests)),
    ]
  }
}

/// The two counters are not read at one moment.
private func open(_ opened: UInt64, _ ended: UInt64) -> UInt64 {
  opened > ended ? opened - ended : 0
}
