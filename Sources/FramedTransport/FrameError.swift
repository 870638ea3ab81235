/// Why a frame cannot be used. The connection ends with it, and `go_away` carries the text.
struct FrameError: Error, Hashable, CustomStringConvertible {
  let description: String
  /// It may be good, and is too long.
  let isTooLong: Bool

  init(_ description: String, isTooLong: Bool = false) {
    self.description = description
    self.isTooLong = isTooLong
  }
}
