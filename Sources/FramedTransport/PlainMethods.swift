// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import Glibc

/// The methods of a router that have a fast path, on one event loop.
struct PlainMethods {
  struct Entry {
    let method: RPCMethod
    let calls: any RPCPlainCalls
  }

  private let entries: [Entry]

  init(_ router: RPCRouter, worker: Int) {
    entries = router.methods.compactMap { method in
      method.plain.map { Entry(method: method, calls: $0(worker)) }
    }
  }

  /// The method with this name; nil if there is none with a fast path.
  func method(named name: UnsafeRawBufferPointer) -> Entry? {
    entries.first { $0.isNamed(name) }
  }
}

extension PlainMethods.Entry {
  @inline(__always)
  func isNamed(_ name: UnsafeRawBufferPointer) -> Bool {
    guard let start = name.baseAddress, method.nameBytes.count == name.count else { return false }
    return memcmp(method.nameBytes, start, name.count) == 0
  }
}
