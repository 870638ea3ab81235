// SPDX-License-Identifier: Apache-2.0
/// Finds the name that a misspelt name was most likely meant to be.
///
/// Case is ignored, and so is the difference between `-` and `_`. A candidate is near if at most a third of its
/// characters, and at most three, have to be changed, or if one of the names is a prefix of the other.
///
/// - Parameters:
///   - name: the misspelt name.
///   - candidates: the valid names.
/// - Returns: the nearest candidate; nil if none is near.
public func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
  let wanted = folded(name)
  guard !wanted.isEmpty else { return nil }
  var best: (name: String, distance: Int)?
  for candidate in candidates {
    let other = folded(candidate)
    var distance = editDistance(wanted, other)
    if distance > min(3, other.count / 3) {
      // A prefix, such as `list` of `listen`, counts as farther away than any misspelling.
      guard wanted.starts(with: other) || other.starts(with: wanted) else { continue }
      distance += 3
    }
    if distance < best?.distance ?? .max { best = (candidate, distance) }
  }
  return best?.name
}

private func folded(_ name: String) -> [UInt8] {
  name.lowercased().utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }
}

/// Damerau-Levenshtein distance with adjacent transpositions (optimal string alignment).
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  if a == b { return 0 }
  var beforeLast = [Int](repeating: 0, count: b.count + 1)
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row.append(cost)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
