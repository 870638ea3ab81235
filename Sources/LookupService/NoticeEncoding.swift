// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ProtobufMessages

/// `NoticeKind`.
enum NoticeKind: UInt64 {
  case upsert = 1
  case delete, resync, progress
}

/// Encodes an `InvalidationNotice` about a key, without epoch and value. It is written directly into memory of its
/// size, because a watch with initial state needs one for each key.
///
/// - Parameter etag: nil if the key has no answer.
func encodeNotice(
  kind: NoticeKind, _ entity: ServedEntity, key: LookupKey, revision: Revision, itemID: String,
  reason: String, committedAt: WallTime, etag: SIMD32<UInt8>?, previousETag: String
) -> [UInt8] {
  let space = entity.keySpaces[Int(key.space)]
  let selector = space.selector ?? ""
  // The primary selector is not named in cache keys.
  var name = selector == entity.keySpaces[0].selector ? entity.name : "\(entity.name).\(selector)"
  var variant = space.variant ?? ""
  let cacheKeyCount = name.utf8.count + 1 + key.bytes.count + (variant.isEmpty ? 0 : 1 + variant.utf8.count)
  let texts =
    key.bytes.count + cacheKeyCount + itemID.utf8.count + reason.utf8.count + 32 + previousETag.utf8.count
    + selector.utf8.count
  // The prefixes of eight texts and a timestamp, each of a length below 2^14; three numbers, two more in the timestamp.
  return ProtobufCursor.bytes(atMost: texts + 9 * 4 + 5 * 11) { out in
    out.unsigned(1, kind.rawValue)
    out.unsigned(2, entity.wireValue)
    key.bytes.withUnsafeBytes { key in
      out.bytes(3, key)
      out.prefix(4, cacheKeyCount)
      name.withUTF8 { out.raw(UnsafeRawBufferPointer($0)) }
      out.raw(":")
      out.raw(key)
      if !variant.isEmpty {
        out.raw(":")
        variant.withUTF8 { out.raw(UnsafeRawBufferPointer($0)) }
      }
    }
    out.unsigned(5, revision.rawValue)
    out.string(6, itemID)
    out.string(8, reason)
    writeTimestamp(9, committedAt, to: &out)
    if let etag { withUnsafeBytes(of: etag) { out.bytes(10, $0) } }
    out.string(11, previousETag)
    out.string(15, selector)
  }
}

/// Encodes an `InvalidationNotice` about no key, without epoch: a PROGRESS or a RESYNC.
///
/// - Parameter entity: the entity of a RESYNC; nil for all entities.
func encodeNotice(
  kind: NoticeKind, _ entity: ServedEntity?, revision: Revision, reason: String
) -> [UInt8] {
  var out: [UInt8] = []
  ProtobufWriter.unsigned(1, kind.rawValue, to: &out)
  ProtobufWriter.unsigned(2, entity?.wireValue ?? 0, to: &out)
  ProtobufWriter.unsigned(5, revision.rawValue, to: &out)
  ProtobufWriter.string(8, reason, to: &out)
  return out
}

/// A `google.protobuf.Timestamp`.
private func writeTimestamp(_ field: UInt8, _ time: WallTime, to out: inout ProtobufCursor) {
  let (seconds, nanoseconds) = timestamp(time)
  out.prefix(field, ProtobufCursor.unsignedSize(seconds) + ProtobufCursor.unsignedSize(nanoseconds))
  out.unsigned(1, seconds)
  out.unsigned(2, nanoseconds)
}
