// SPDX-License-Identifier: Apache-2.0
import Testing

/// Tests with real sockets. They run one at a time, because they observe counters and descriptors of the process.
@Suite(.serialized) struct SocketTests {}
