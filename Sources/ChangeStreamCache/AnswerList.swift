internal import Glibc

/// Answers in order of key. A value that is cheap to copy and to keep: a change makes one chunk of it anew and shares
/// the rest, so that a reader who keeps a list costs a change no more than that.
public struct AnswerList: Sendable, RandomAccessCollection {
  /// Immutable: any thread.
  private final class Chunk: Sendable {
    let answers: [Answer]
    init(_ answers: [Answer]) { self.answers = answers }
  }

  private static let fullChunk = 256

  private var chunks: [Chunk] = []
  /// The index of each chunk's first answer.
  private var starts: [Int] = []
  public private(set) var count = 0

  init() {}

  /// A list of `answers`, which are in order of key.
  init(sorted answers: [Answer]) {
    for start in stride(from: 0, to: answers.count, by: Self.fullChunk / 2) {
      chunks.append(Chunk(Array(answers[start..<Swift.min(start + Self.fullChunk / 2, answers.count)])))
    }
    number()
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { count }

  /// O(log n).
  public subscript(index: Int) -> Answer {
    let chunk = starts.partition { $0 <= index } - 1
    return chunks[chunk].answers[index - starts[chunk]]
  }

  /// Walks all answers; O(1) for each.
  public func makeIterator() -> Iterator { Iterator(self) }

  /// Walks a list as it was when the walk began.
  public struct Iterator: IteratorProtocol {
    private let list: AnswerList
    private var chunk = 0
    private var place = 0

    fileprivate init(_ list: AnswerList) { self.list = list }

    public mutating func next() -> Answer? {
      while chunk < list.chunks.count {
        let answers = list.chunks[chunk].answers
        if place < answers.count {
          defer { place += 1 }
          return answers[place]
        }
        (chunk, place) = (chunk + 1, 0)
      }
      return nil
    }
  }

  /// The index of the first answer whose key is not before `key`. O(log n).
  public func firstIndex(notBefore key: LookupKey) -> Int {
    guard let chunk = chunk(for: key) else { return 0 }
    return starts[chunk] + place(notBefore: key, in: chunks[chunk].answers)
  }

  /// Makes `answer` the one of its key.
  mutating func set(_ answer: Answer) {
    change(answer.key) { answers, place, isThere in
      if isThere { answers[place] = answer } else { answers.insert(answer, at: place) }
    }
  }

  /// Takes the answer of `key` away.
  mutating func remove(_ key: LookupKey) {
    change(key) { answers, place, isThere in
      if isThere { answers.remove(at: place) }
    }
  }

  /// Applies many changes, which are in order of key, one for a key: nil takes the answer away. O(n) in all.
  mutating func merge(_ changes: [(key: LookupKey, new: Answer?)]) {
    var merged: [Answer] = []
    merged.reserveCapacity(count + changes.count)
    var next = 0
    for answer in self {
      while next < changes.count, isBefore(changes[next].key, answer.key) {
        if let new = changes[next].new { merged.append(new) }
        next += 1
      }
      if next < changes.count, changes[next].key == answer.key { continue }
      merged.append(answer)
    }
    for change in changes[next...] { if let new = change.new { merged.append(new) } }
    self = AnswerList(sorted: merged)
  }

  // MARK: Beneath

  /// The chunk in which the key stands, or would stand; nil: there is none.
  private func chunk(for key: LookupKey) -> Int? {
    guard !chunks.isEmpty else { return nil }
    return Swift.max(chunks.partition { !isBefore(key, $0.answers[0].key) } - 1, 0)
  }

  private func place(notBefore key: LookupKey, in answers: [Answer]) -> Int {
    answers.partition { isBefore($0.key, key) }
  }

  private mutating func change(_ key: LookupKey, _ body: (inout [Answer], _ place: Int, _ isThere: Bool) -> Void) {
    let chunk = chunk(for: key)
    var answers = chunk.map { chunks[$0].answers } ?? []
    let place = place(notBefore: key, in: answers)
    body(&answers, place, place < answers.count && answers[place].key == key)
    let parts =
      answers.count > Self.fullChunk
      ? [Chunk(Array(answers[..<(answers.count / 2)])), Chunk(Array(answers[(answers.count / 2)...]))]
      : answers.isEmpty ? [] : [Chunk(answers)]
    if let chunk { chunks.replaceSubrange(chunk...chunk, with: parts) } else { chunks = parts }
    number()
  }

  private mutating func number() {
    starts.removeAll(keepingCapacity: true)
    count = 0
    for chunk in chunks {
      starts.append(count)
      count += chunk.answers.count
    }
  }
}

extension Array {
  /// How many elements at the beginning fulfil `isBefore`, which none of the others does. O(log n).
  fileprivate func partition(_ isBefore: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The order of lists: by bytes, then by space.
func isBefore(_ left: LookupKey, _ right: LookupKey) -> Bool {
  let order = memcmp(left.bytes, right.bytes, min(left.bytes.count, right.bytes.count))
  if order != 0 { return order < 0 }
  if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
  return left.space < right.space
}
