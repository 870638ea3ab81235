import Testing

/// Tests over real sockets, one at a time: they watch counters and descriptors of the process.
@Suite(.serialized) struct SocketTests {}
