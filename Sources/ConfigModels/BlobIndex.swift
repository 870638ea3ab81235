// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache

/// The sources of one container, indexed by their path patterns and file patterns. The cost of finding the source of a
/// blob depends on its path and on the differences between the patterns, not on the number of sources. The index is
/// immutable, so any thread may use it.
///
/// It is a tree with one level for each component of a path, because no placeholder matches a `/`.
public final class BlobIndex: Sendable {
  /// A source that a blob can belong to.
  public struct Source: Sendable {
    /// The source's entry in the cache.
    public let entry: Entry
    /// The compiled patterns of the source.
    public let cachedValue: SourceConfigDocument.CachedValue
    /// The rank among the sources of the container. Of several that match, the lowest wins: the one with the most
    /// literal characters, and among equals the first by source_id.
    fileprivate let rank: Int
  }

  private struct Node: Sendable {
    /// The children for components without a placeholder.
    var literals: [[UInt8]: Node] = [:]
    /// The children for components with placeholders, by the text before the first and after the last placeholder.
    var patterns: AffixIndex<[Branch]> = AffixIndex()
    /// The sources whose pattern ends here.
    var sources = FileIndex()
  }

  private struct Branch: Sendable {
    let component: PathPattern.Component
    var node: Node
  }

  /// Sources by their file patterns.
  private struct FileIndex: Sendable {
    /// The lowest-ranking source without a file pattern.
    var first: Source?
    var globs: AffixIndex<[Source]> = AffixIndex()

    mutating func add(_ source: Source) {
      guard let glob = source.cachedValue.filePattern else {
        // Sources are added in order of rank.
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
          if source.cachedValue.filePattern?.matchesLastComponent(of: path) == true {
            best = source
            return
          }
        }
      }
    }
  }

  private let root: Node
  /// The sources without a path pattern, which match every path.
  private let anywhere: FileIndex

  /// Builds the index of a container's members.
  ///
  /// - Parameter members: entries of `SourceConfigDocument`, in order of source_id.
  public init(_ members: [Entry]) {
    let ranked = members.enumerated()
      .compactMap { place, entry in
        (entry as? ModelEntry<SourceConfigDocument.CachedValue>).map { (place, entry, $0.cachedValue) }
      }
      .sorted { ($0.2.literalCount, $1.0) > ($1.2.literalCount, $0.0) }
    var root = Node()
    var anywhere = FileIndex()
    for (rank, (_, entry, cachedValue)) in ranked.enumerated() {
      let source = Source(entry: entry, cachedValue: cachedValue, rank: rank)
      if let pattern = cachedValue.pattern {
        Self.add(source, pattern.components[...], to: &root)
      } else {
        anywhere.add(source)
      }
    }
    self.root = root
    self.anywhere = anywhere
  }

  /// Finds the source of a blob. Of the sources whose path pattern and file pattern match, it is the one with the most
  /// literal characters in its path pattern, and among equals the first by source_id.
  ///
  /// - Parameter path: the path of the blob in the container, in UTF-8.
  /// - Returns: the source; nil if none matches.
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
    // The end of the path has been passed.
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
