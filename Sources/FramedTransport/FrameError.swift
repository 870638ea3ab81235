// SPDX-License-Identifier: Apache-2.0
/// The reason for which a frame is invalid. The connection is closed with a `go_away` that contains the text.
struct FrameError: Error, Hashable, CustomStringConvertible {
  let description: String
  /// Whether the only known fault of the frame is that it exceeds the size limit.
  let isTooLong: Bool

  init(_ description: String, isTooLong: Bool = false) {
    self.description = description
    self.isTooLong = isTooLong
  }
}
