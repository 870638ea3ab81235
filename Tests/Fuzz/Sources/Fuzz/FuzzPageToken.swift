// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupRPC

@testable internal import LookupService

private let lists = [
  "agent_config/", "agent_config/extractor", "agent_config/tiered-vision", "prompt/", "source_config/",
  "source_config/blob_trigger",
]

/// Decodes the input as a page token, and encodes it as the key of a page token.
func fuzzPageToken(_ input: UnsafeRawBufferPointer) {
  for list in lists {
    guard let key = decode(input, list) else { continue }
    let again = PageToken.encode(after: LookupKey(bytes: key, space: 0), list: list)
    expect(again.utf8.elementsEqual(input), "\(list): a token that this list does not give")
  }

  guard (1...256).contains(input.count), let first = lists.first else { return }
  let key = LookupKey(bytes: Array(input), space: 0)
  let token = Array(PageToken.encode(after: key, list: first).utf8)
  token.withUnsafeBytes { token in
    expect(decode(token, first) == key.bytes, "a token of our own is refused")
    for other in lists.dropFirst() { expect(decode(token, other) == nil, "\(other) takes a token of \(first)") }
  }
  // A token with one damaged bit must be rejected. The input determines which one.
  var damaged = token
  let place = Int(input[0]) % damaged.count
  damaged[place] ^= 1 << (input[input.count - 1] & 7)
  damaged.withUnsafeBytes { expect(decode($0, first) == nil, "a damaged token is taken") }
}

private func decode(_ token: UnsafeRawBufferPointer, _ list: String) -> [UInt8]? {
  do throws(RPCStatus) {
    return try PageToken.decode(token, list: list)
  } catch {
    expect(error.code == .invalidArgument, "\(error)")
    return nil
  }
}
