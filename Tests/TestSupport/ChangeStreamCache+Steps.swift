// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache

/// The steps of a cache without threads, for the programs in Tools: a package of its own has no access to the
/// declarations that only this package may use.
extension ChangeStreamCache {
  /// Performs one step of the thread that reads the change stream.
  public func performStreamStep() { _ = stepStream() }

  /// Performs the read that the last step of the stream requested, if there is one.
  public func performReadStep() { _ = stepRead() }
}
