// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

/// Helper functions for the encodings of the three models.
extension ProtobufArena {
  /// Makes a timestamp; nil for no date, so that the field is not set.
  func timestamp(_ milliseconds: Int64?) -> UnsafeMutablePointer<Google__Protobuf__Timestamp>? {
    guard let milliseconds else { return nil }
    return make(google__protobuf__timestamp__init) {
      let time = protobufTimestamp(milliseconds: milliseconds)
      $0.seconds = time.seconds
      $0.nanos = time.nanos
    }
  }

  /// Makes a string. An absent string is encoded as an empty one.
  func bytes(_ text: String?) -> ProtobufCBinaryData { bytes(text ?? "") }

  func map(_ pairs: [StringPair]) -> UnsafeMutablePointer<UnsafeMutablePointer<Configlookup__V1__MapEntry>?>? {
    pointers(
      pairs.map { pair in
        make(configlookup__v1__map_entry__init) {
          $0.key = bytes(pair.key)
          $0.value = bytes(pair.value)
        }
      })
  }
}

/// Returns the fields of a `google.protobuf.Timestamp`. `nanos` counts forward, before 1970, too.
func protobufTimestamp(milliseconds: Int64) -> (seconds: Int64, nanos: Int32) {
  let (quotient, remainder) = milliseconds.quotientAndRemainder(dividingBy: 1000)
  return remainder < 0
    ? (quotient - 1, Int32(remainder + 1000) * 1_000_000) : (quotient, Int32(remainder) * 1_000_000)
}
