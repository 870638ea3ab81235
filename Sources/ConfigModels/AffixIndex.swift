/// Items by a literal beginning and a literal end: of many items it finds those that a text can match, at the cost of
/// the distinct pairs of lengths, not of the items.
struct AffixIndex<Item: Sendable>: Sendable {
  private struct Shape: Hashable {
    let prefix: Int
    let suffix: Int
  }

  /// By shape: the items of each beginning and end, joined by a byte that UTF-8 never has.
  private var shapes: [Shape: [[UInt8]: Item]] = [:]

  /// Changes the item of a beginning and an end, made by `new` where there is none.
  mutating func update(
    prefix: [UInt8], suffix: [UInt8], default new: @autoclosure () -> Item, _ body: (inout Item) -> Void
  ) {
    let shape = Shape(prefix: prefix.count, suffix: suffix.count)
    body(&shapes[shape, default: [:]][prefix + [0xFF] + suffix, default: new()])
  }

  /// Gives `body` the items whose beginning and end the text has, and which leave at least `rest` bytes between them.
  func forEach(matching text: some RandomAccessCollection<UInt8>, rest: Int, _ body: (Item) -> Void) {
    for (shape, items) in shapes where shape.prefix + shape.suffix + rest <= text.count {
      if let item = items[Array(text.prefix(shape.prefix)) + [0xFF] + Array(text.suffix(shape.suffix))] { body(item) }
    }
  }
}
