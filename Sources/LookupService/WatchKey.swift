// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache

/// A key of any entity.
struct WatchKey: Hashable {
  let entity: ServedEntity
  let key: LookupKey
}
