// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupRPC
internal import LookupService
internal import ProtobufMessages

/// Calls a method. The first byte selects the method, and the treatment of a watch; the rest is the request.
func fuzzRequest(_ input: UnsafeRawBufferPointer) {
  guard let first = input.first else { return }
  let methods = SeededService.shared.methods
  let method = methods[Int(first) % methods.count]
  let worker = SeededService.shared.worker
  let request = RPCRequest(
    message: UnsafeRawBufferPointer(rebasing: input[1...]), metadata: RPCMetadata(), deadline: nil, worker: worker)
  var reply = RPCReply()
  do throws(RPCStatus) {
    switch method.handler {
    case .unary(let handler):
      if let wait = try handler(request, &reply) {
        wait.begin({}).cancel()
        throw wait.expired()
      }
      expect(isMessage(reply, of: method.name), "\(method.name): the reply cannot be read")
    case .serverStreaming(let handler):
      let writer = FuzzWriter(room: first & 0x40 == 0 ? .max : 1)
      let stream = try handler(request, writer, &reply)
      live(stream, writer, isDraining: first & 0x80 != 0)
    case .bidirectionalStreaming: expect(false, "\(method.name): no request of its own")
    }
  } catch {
    expect(
      [.invalidArgument, .notFound, .failedPrecondition, .unavailable].contains(error.code) && !error.message.isEmpty,
      "\(method.name): \(error)")
  }
  worker.run()
  expect(worker.timerCount == 0, "\(method.name) leaves a timer")
  expect(SeededService.shared.service.subscriberCount == 0, "\(method.name) leaves a watch")
}

private func live(_ stream: any RPCStreamHandler, _ writer: FuzzWriter, isDraining: Bool) {
  let worker = SeededService.shared.worker
  worker.run()
  worker.fireTimers()
  expect(writer.count > 0 && writer.finish == nil, "a watch begins with a PROGRESS, and goes on")
  if isDraining {
    stream.draining()
    // The watch must end even if the peer accepts one message at a time.
    for _ in 0..<100 where writer.finish == nil {
      writer.room = 1
      stream.writable()
    }
    expect(writer.finish?.code == .ok, "a drained watch does not end")
  } else {
    stream.cancelled()
  }
  let count = writer.count
  worker.fireTimers()
  expect(writer.count == count, "a message after the end")
}

/// The writer of a watch. It accepts `room` messages, and checks each of them.
private final class FuzzWriter: RPCStreamWriter {
  var room: Int
  private(set) var count = 0
  private(set) var finish: RPCStatus?

  init(room: Int) {
    self.room = room
  }

  var isWritable: Bool { room > 0 && finish == nil }

  func send(_ reply: borrowing RPCReply) {
    expect(finish == nil, "a message after the end")
    expect(isMessage(copy reply, of: "WatchInvalidations"), "the notice cannot be read")
    count += 1
    if room != .max { room -= 1 }
  }

  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    expect(finish == nil, "ended twice")
    finish = status
  }
}

/// Whether protobuf-c can unpack the reply as the method's message.
private func isMessage(_ reply: RPCReply, of method: String) -> Bool {
  switch method {
  case "GetAgentConfig": isRead(reply, by: configlookup__v1__get_agent_config_response__unpack)
  case "GetPrompt": isRead(reply, by: configlookup__v1__get_prompt_response__unpack)
  case "GetSourceConfig": isRead(reply, by: configlookup__v1__get_source_config_response__unpack)
  case "ResolveBlob": isRead(reply, by: configlookup__v1__resolve_blob_response__unpack)
  case "ListAgentConfigs": isRead(reply, by: configlookup__v1__list_agent_configs_response__unpack)
  case "ListPrompts": isRead(reply, by: configlookup__v1__list_prompts_response__unpack)
  case "ListSourceConfigs": isRead(reply, by: configlookup__v1__list_source_configs_response__unpack)
  case "GetCacheStatus": isRead(reply, by: configlookup__v1__get_cache_status_response__unpack)
  case "WatchInvalidations": isRead(reply, by: configlookup__v1__invalidation_notice__unpack)
  case "InvalidateCache": isRead(reply, by: configlookup__v1__invalidate_cache_response__unpack)
  default: false
  }
}

private func isRead<Message>(
  _ reply: RPCReply,
  by unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
) -> Bool {
  let arena = ProtobufArena()
  return (reply.head + reply.body).withUnsafeBytes { bytes in
    (try? arena.unpack(bytes, by: unpack, limit: .max)) != nil
  }
}
