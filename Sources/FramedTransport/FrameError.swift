/// Why a frame cannot be used. The connection ends with it, and `go_away` carries the text.
struct FrameError: Error, Hashable, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
