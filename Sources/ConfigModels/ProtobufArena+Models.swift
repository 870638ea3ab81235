internal import CConfigLookupProto
internal import ProtobufMessages

/// What the encodings of the three models share.
extension ProtobufArena {
  func timestamp(_ milliseconds: Int64) -> UnsafeMutablePointer<Google__Protobuf__Timestamp> {
    make(google__protobuf__timestamp__init) {
      // `nanos` counts forward, before 1970 too.
      let (quotient, remainder) = milliseconds.quotientAndRemainder(dividingBy: 1000)
      $0.seconds = remainder < 0 ? quotient - 1 : quotient
      $0.nanos = Int32(remainder < 0 ? remainder + 1000 : remainder) * 1_000_000
    }
  }

  /// An absent string is an empty one on the wire.
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
