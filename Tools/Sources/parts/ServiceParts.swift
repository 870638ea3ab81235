// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigModels
internal import FramedTransport
internal import LookupService
internal import TestSupport

/// Decodes a document to a model, and encodes a model to the bytes of a reply.
func documentParts() throws -> [Part] {
  let document = try BSONDocument(json: PartsService.document(7, descriptionBytes: 1500))
  let model = try document.withObject { object in try AgentConfigDocument(reading: object) }
  return [
    Part("document: BSON to model", count: 20_000) { _ in
      { count in
        for _ in 0..<count { _ = try document.withObject { object in try AgentConfigDocument(reading: object) } }
      }
    },
    Part("document: model to bytes", count: 20_000) { _ in
      { count in for _ in 0..<count { _ = model.encoded() } }
    },
  ]
}

/// Looks up the answer of a key, and handles whole calls without a transport.
func lookupParts(keys: Int, _ service: PartsService) throws -> [Part] {
  // The keys are far apart, so that the used part of a large table does not fit into the processor's caches.
  let lookups = (0..<min(keys, 100_000)).map { LookupKey(PartsService.key($0 &* 7919 % keys)) }
  let requests = lookups.map { [0x0a, UInt8($0.bytes.count)] + $0.bytes }
  guard case .unary(let handler) = try service.handler("GetAgentConfig") else { throw TestFailure("no unary call") }
  return [
    Part("lookup: key to answer, \(keys) keys", count: 200_000) { _ in
      { count in for round in 0..<count { _ = service.cache.reader.answer(lookups[round % lookups.count]) } }
    },
    Part("lookup: request to reply, \(keys) keys", count: 100_000) { _ in
      { count in
        var reply = RPCReply()
        for round in 0..<count {
          reply.reset()
          try requests[round % requests.count].withUnsafeBytes { bytes in
            let request = RPCRequest(
              message: bytes, metadata: RPCMetadata(), deadline: nil, worker: service.worker)
            _ = try handler(request, &reply)
          }
        }
      }
    },
    try plainPart(keys: keys, requests, service),
  ]
}

/// Handles lookups on the fast path, in batches of 32 calls.
private func plainPart(keys: Int, _ requests: [[UInt8]], _ service: PartsService) throws -> Part {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: requests.count * 64, alignment: 64)
  let messages = requests.indices.map { index in
    let room = UnsafeMutableRawBufferPointer(rebasing: memory[(index * 64)...].prefix(requests[index].count))
    room.copyBytes(from: requests[index])
    return UnsafeRawBufferPointer(room)
  }
  let method = service.service.methods.first { $0.name == "GetAgentConfig" }
  guard let calls = method?.plain?(0), let worker = service.worker as? TestWorker else {
    throw TestFailure("no short way")
  }
  return Part("lookup: plain requests to replies, \(keys) keys", count: 320_000) { _ in
    { count in
      var place = 0
      for _ in 0..<(count / 32) {
        try worker.runIteration {
          let batch = Array(messages[place..<min(place + 32, messages.count)])
          place = place + 64 > messages.count ? 0 : place + 32
          batch.withUnsafeBufferPointer { calls.prepare(for: $0) }
          for index in batch.indices {
            guard calls.reply(at: index, nil) != nil else { throw TestFailure("no plain reply") }
          }
        }
      }
    }
  }
}

/// Applies a change of the source to the served answers.
func changeParts(keys: Int, _ service: PartsService) -> [Part] {
  [
    Part("change: apply, \(keys) keys", count: 2000) { count in
      try service.change(count)
      return { rounds in service.apply(rounds) }
    }
  ]
}

/// Applies a change, and sends its notice to each subscriber.
func watchParts(subscribers: [Int]) -> [Part] {
  subscribers.map { number in
    let worker = TestWorker()
    let watched = OnDemand {
      let service = try PartsService(keys: 1000, workers: [worker])
      let writer = try service.watch(number)
      worker.run()
      return (service, writer)
    }
    return Part("change: apply and tell \(number) subscribers", count: max(10, 20_000 / number)) { count in
      let (service, writer) = try watched.value()
      try service.change(count)
      let before = writer.messages
      return { rounds in
        for _ in 0..<rounds {
          service.apply(1)
          worker.run()
        }
        guard writer.messages >= before + rounds * number else {
          throw TestFailure("\(writer.messages - before) notices, not \(rounds * number)")
        }
      }
    }
  }
}

/// Lookups over loopback with client and server in this process: the cost of codec, call and kernel.
func framedParts(depth: Int) throws -> [Part] {
  let group = try EventLoopGroup(count: 1)
  let service = try PartsService(keys: 1000, workers: group.loops)
  let endpoint = FramedEndpoint(router: RPCRouter(service.service.methods), group: group)
  let server = try ConnectionServer(
    endpoint: endpoint, group: group, configuration: .init(listen: HostAndPort(host: "127.0.0.1", port: 0)),
    logger: .silent)
  let client = try FramedClient(server.address.hostAndPort)
  let calls = (0..<1000).map { number in
    let key = Array(PartsService.key(number).utf8)
    return FramedClient.encodeCall(id: UInt32(number + 1), "GetAgentConfig", [0x0a, UInt8(key.count)] + key)
  }
  return [
    Part("framed lookup over loopback, \(depth) deep", count: 32_000) { _ in
      { count in
        // The server must not be released before its last call.
        defer { withExtendedLifetime(server) {} }
        for start in stride(from: 0, to: count, by: depth) {
          try client.send((start..<start + depth).flatMap { calls[$0 % 1000] })
          let failed = try client.countReplies(depth, deadline: .now.advanced(by: .seconds(20)))
          guard failed == 0 else { throw TestFailure("\(failed) lookups failed") }
        }
      }
    }
  ]
}
