// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Glibc
internal import TestSupport
internal import Testing

@Suite struct LateFunctionTests {
  @Test func isCalledOnceSetAndNoMoreOnceTakenAway() {
    let double = LateFunction<Int, Int>()
    #expect(double(2) == nil)
    double.set { 2 * $0 }
    #expect(double(2) == 4)
    double.set(nil)
    #expect(double(2) == nil)
  }

  /// A function in a generic lock is wrapped once more by every access. The stack depth of the call shows how often.
  @Test func doesNotGrowWithItsCalls() {
    let depth = LateFunction<Void, UInt>()
    depth.set { stackPosition() }
    let first = depth()
    for _ in 0..<10_000 { _ = depth() }
    #expect(depth() == first)
  }
}

/// The current position of the stack.
@inline(never)
private func stackPosition() -> UInt {
  var place: UInt8 = 0
  return withUnsafePointer(to: &place) { UInt(bitPattern: $0) }
}
