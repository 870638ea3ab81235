internal import FramedTransport
internal import GRPCTransport
internal import Network

/// What one of the two transports has counted, as of one moment.
struct TransportFigures {
  /// As the label `protocol` has it.
  let name: String
  let calls: [CallMeter.Calls]
  /// Open calls that are not answered in the turn in which they come: watches, and lookups that wait.
  let openStreams: UInt64
  /// Connections that were ended for what the peer did, by why.
  let endedConnections: [(reason: String, count: UInt64)]
  /// Requests that were no call of the protocol, by reason.
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

/// The two are not read at one moment.
private func open(_ opened: UInt64, _ ended: UInt64) -> UInt64 {
  opened > ended ? opened - ended : 0
}
