// SPDX-License-Identifier: Apache-2.0
/// An element of a ``DueHeap``, until it is removed or is no longer wanted.
protocol DueElement: AnyObject {
  /// Whether it is still wanted.
  var isWanted: Bool { get }
}

/// A binary heap of elements, by a number: the lowest is first.
///
/// An element that is no longer wanted stays until it is the lowest, or until half of the elements are not wanted: then
/// they are removed together, so that the cost of an element stays constant on average.
struct DueHeap<Element: DueElement> {
  private struct Entry {
    let due: UInt64
    let element: Element
  }

  private var entries: [Entry] = []
  private var unwanted = 0

  /// The lowest number, of an element that is wanted; nil if there is none.
  mutating func firstDue() -> UInt64? {
    while let first = entries.first, !first.element.isWanted { removeFirst() }
    return entries.first?.due
  }

  var isEmpty: Bool { entries.count == unwanted }

  mutating func insert(_ element: Element, due: UInt64) {
    entries.append(Entry(due: due, element: element))
    var place = entries.count - 1
    while place > 0, entries[place].due < entries[(place - 1) / 2].due {
      entries.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  /// Removes and returns the lowest element whose number is not above `limit`; nil if there is none.
  mutating func popFirst(upTo limit: UInt64) -> Element? {
    guard let due = firstDue(), due <= limit else { return nil }
    let element = entries[0].element
    removeFirst(isWanted: true)
    return element
  }

  /// Must be called once for each element of the heap that is no longer wanted.
  mutating func noteUnwanted() {
    unwanted += 1
    guard unwanted > 32, unwanted * 2 > entries.count else { return }
    let rest = entries.filter { $0.element.isWanted }
    entries = []
    entries.reserveCapacity(rest.count)
    unwanted = 0
    for entry in rest { insert(entry.element, due: entry.due) }
  }

  private mutating func removeFirst(isWanted: Bool = false) {
    if !isWanted { unwanted -= 1 }
    let last = entries.removeLast()
    guard !entries.isEmpty else { return }
    var place = 0
    while true {
      var child = 2 * place + 1
      if child >= entries.count { break }
      if child + 1 < entries.count, entries[child + 1].due < entries[child].due { child += 1 }
      if last.due <= entries[child].due { break }
      entries[place] = entries[child]
      place = child
    }
    entries[place] = last
  }
}
