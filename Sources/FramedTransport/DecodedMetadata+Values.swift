// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

extension DecodedMetadata {
  /// The pairs as strings, with keys in lower case.
  ///
  /// - Throws: INVALID_ARGUMENT if a pair is malformed; RESOURCE_EXHAUSTED if there are too many pairs or bytes.
  func values() throws(RPCStatus) -> RPCMetadata {
    var metadata = RPCMetadata()
    guard count > 0 else { return metadata }
    guard count <= FramedLimits.metadataPairs else {
      throw RPCStatus(.metadataTooLarge, "metadata: \(count) pairs; the limit is \(FramedLimits.metadataPairs)")
    }
    var byteCount = 0
    do throws(FrameError) {
      var reader = WireReader(message)
      while !reader.isAtEnd {
        let (number, type) = try reader.tag()
        guard number == field else {
          try reader.skip(type)
          continue
        }
        let (key, value) = try FrameDecoder.pair(reader.lengthDelimited())
        byteCount += key.count + value.count
        append(key, value, to: &metadata)
      }
    } catch {
      throw RPCStatus(.invalidMetadata, "metadata: \(error)")
    }
    guard byteCount <= FramedLimits.metadataBytes else {
      throw RPCStatus(.metadataTooLarge, "metadata: \(byteCount) bytes; the limit is \(FramedLimits.metadataBytes)")
    }
    guard metadata.pairs.count == count else {
      throw RPCStatus(
        .invalidMetadata, "metadata: a key has characters other than a-z 0-9 . _ -, or a value is not UTF-8")
    }
    return metadata
  }

  private func append(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, to metadata: inout RPCMetadata
  ) {
    // The characters that gRPC allows in a key, so that a call means the same on both transports.
    let isKey =
      !key.isEmpty
      && key.allSatisfy {
        (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d
          || $0 == 0x2e || $0 == 0x5f
      }
    guard isKey, !value.contains(0), let text = String(validating: value, as: UTF8.self) else { return }
    metadata.append(String(decoding: key, as: UTF8.self).lowercased(), text)
  }
}
