public import ChangeStreamCache

/// The sources of one container, by their path patterns and file patterns: finds the source of a blob at a cost that
/// depends on its path and on how the patterns differ, not on how many sources there are. Immutable: any thread.
///
/// A tree: one level for each component of a path, since no placeholder takes a `/`.
public final class BlobIndex: Sendable {
  /// A source that a blob can belong to.
  public struct Source: Sendable {
    public let entry: Entry
    public let kept: SourceConfig.Kept
    /// The least of those that match wins: the one with the most literal characters, then the first by source_id.
    fileprivate let rank: Int
  }

  private struct Node: Sendable {
    /// Components without a placeholder.
    var literals: [[UInt8]: Node] = [:]
    /// Components with one, by what stands before the first and after the last.
    var patterns: AffixIndex<[Branch]> = AffixIndex()
    /// Sources whose pattern ends here.
    var sources = FileIndex()
  }

  private struct Branch: Sendable {
    let component: PathPattern.Component
    var node: Node
  }

  /// Sources by their file patterns.
  private struct FileIndex: Sendable {
    /// Without a file pattern: the one of the least rank.
    var first: Source?
    var globs: AffixIndex<[Source]> = AffixIndex()

    mutating func add(_ source: Source) {
      guard let glob = source.kept.filePattern else {
        // Sources come in order of rank.
        first = first ?? source
        return
      }
      globs.update(prefix: glob.literalPrefix, suffix: glob.literalSuffix, default: []) { $0.append(source) }
    }

    func find(_ path: UnsafeRawBufferPointer, _ name: Slice<UnsafeRawBufferPointer>, best: inout Source?) {
      if let first, best.map({ first.rank < $0.rank }) ?? true { best = first }
      globs.forEach(matching: name, rest: 0) { sources in
        for source in sources {
          if let found = best, found.rank <= source.rank { return }
          if source.kept.filePattern?.matchesLastComponent(of: path) == true {
            best = source
            return
          }
        }
      }
    }
  }

  private let root: Node
  /// Sources without a path pattern: they match every path.
  private let anywhere: FileIndex

  /// Makes the index of a container's members.
  ///
  /// - Parameter members: entries of `SourceConfig`, in order of source_id.
  public init(_ members: [Entry]) {
    let ranked = members.enumerated()
      .compactMap { place, entry in (entry as? ModelEntry<SourceConfig.Kept>).map { (place, entry, $0.kept) } }
      .sorted { ($0.2.literalCount, $1.0) > ($1.2.literalCount, $0.0) }
    var root = Node()
    var anywhere = FileIndex()
    for (rank, (_, entry, kept)) in ranked.enumerated() {
      let source = Source(entry: entry, kept: kept, rank: rank)
      if let pattern = kept.pattern {
        Self.add(source, pattern.components[...], to: &root)
      } else {
        anywhere.add(source)
      }
    }
    self.root = root
    self.anywhere = anywhere
  }

  /// The source of the blob at `path`: of those whose pattern and file pattern match it, the one with the most literal
  /// characters in its pattern, then the first by source_id. Nil: none matches.
  public func source(of path: UnsafeRawBufferPointer) -> Source? {
    let name = path[(path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0)...]
    var best: Source?
    find(in: root, path, from: 0, name, best: &best)
    anywhere.find(path, name, best: &best)
    return best
  }

  private static func add(_ source: Source, _ components: ArraySlice<PathPattern.Component>, to node: inout Node) {
    guard let component = components.first else { return node.sources.add(source) }
    let rest = components.dropFirst()
    let (prefix, suffix) = (component.literals[0].bytes, component.literals[component.literals.count - 1].bytes)
    guard !component.names.isEmpty else { return add(source, rest, to: &node.literals[prefix, default: Node()]) }
    node.patterns.update(prefix: prefix, suffix: suffix, default: []) { branches in
      let place = branches.firstIndex { $0.component.literals == component.literals } ?? branches.count
      if place == branches.count { branches.append(Branch(component: component, node: Node())) }
      add(source, rest, to: &branches[place].node)
    }
  }

  private func find(
    in node: Node, _ path: UnsafeRawBufferPointer, from start: Int, _ name: Slice<UnsafeRawBufferPointer>,
    best: inout Source?
  ) {
    // Past the last component.
    guard start <= path.count else { return node.sources.find(path, name, best: &best) }
    let end = path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.count
    let text = path[start..<end]
    if let next = node.literals[Array(text)] { find(in: next, path, from: end + 1, name, best: &best) }
    node.patterns.forEach(matching: text, rest: 1) { branches in
      for branch in branches where branch.component.matches(path, start..<end) {
        find(in: branch.node, path, from: end + 1, name, best: &best)
      }
    }
  }
}
