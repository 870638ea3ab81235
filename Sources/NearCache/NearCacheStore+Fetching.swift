// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

extension NearCacheStore {
  nonisolated(nonsending) func answer(for key: CacheKey, _ fetch: @escaping Fetch) async throws -> Answer {
    let now = now
    let policy = policy(key)
    let (known, refresh) = state.withLock { state -> (Answer?, UInt64?) in
      guard let known = Self.find(key, policy, now, &state) else { return (nil, nil) }
      switch known.freshness {
      case .fresh, .refresh:
        state.statistics.hits += 1
        var refresh: UInt64?
        if known.freshness == .refresh, state.flights.flight(key) == nil {
          refresh = beginFetch(key, now, isForCache: true, &state)
          state.statistics.refreshes += 1
        }
        return (Answer(value: known.value, isStale: false), refresh)
      case .staleRetrySuppressed:
        state.statistics.staleServed += 1
        return (Answer(value: known.value, isStale: true), nil)
      case .stale: return (nil, nil)
      }
    }
    if let refresh { start(refresh, key, fetch) }
    if let known { return known }
    return try await join(key, now, fetch)
  }

  /// Waits for the fetch of the key, and begins one if there is none.
  nonisolated(nonsending) private func join(
    _ key: CacheKey, _ now: UInt64, _ fetch: @escaping Fetch
  ) async throws -> Answer {
    let id = state.withLock { state in
      state.statistics.misses += 1
      return state.flights.nextID()
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { waiter in
        let later = self.now
        let step = state.withLock { state -> FetchStep in
          // Checked under the lock, so that the cancellation handler below either finds the waiter or has run before.
          if Task.isCancelled { return .cancelled }
          if let flight = state.flights.flight(key) {
            state.statistics.fetchesSaved += 1
            state.flights.join(flight, id, waiter)
            return .wait
          }
          // A fetch may have ended since the lookup in memory.
          if let known = Self.find(key, policy(key), later, &state), known.freshness <= .refresh {
            state.statistics.fetchesSaved += 1
            return .give(Answer(value: known.value, isStale: false))
          }
          let flight = beginFetch(key, now, isForCache: false, &state)
          state.flights.join(flight, id, waiter)
          return .begin(flight)
        }
        switch step {
        case .wait: break
        case .begin(let flight): start(flight, key, fetch)
        case .give(let answer): waiter.resume(returning: answer)
        case .cancelled: waiter.resume(throwing: CancellationError())
        }
      }
    } onCancel: {
      let left = state.withLock { $0.flights.leave(id) }
      left?.task?.cancel()
      left?.waiter.resume(throwing: CancellationError())
    }
  }

  private func beginFetch(_ key: CacheKey, _ now: UInt64, isForCache: Bool, _ state: inout State) -> UInt64 {
    state.statistics.fetches += 1
    return state.flights.begin(key, at: now, isForCache: isForCache)
  }

  private func start(_ flight: UInt64, _ key: CacheKey, _ fetch: @escaping Fetch) {
    let task = run { [self] in
      let result: Result<Fetched?, any Error>
      do {
        result = .success(try await fetch())
      } catch {
        result = .failure(error)
      }
      land(flight, key, result)
    }
    state.withLock { $0.flights.setTask(flight, task) }
  }

  private func land(_ flight: UInt64, _ key: CacheKey, _ result: Result<Fetched?, any Error>) {
    let now = now
    let policy = policy(key)
    let (waiters, outcome) = state.withLock { state -> ([FlightTable<Answer>.Waiter], Result<Answer, any Error>) in
      let (waiters, startedAt) = state.flights.end(flight)
      switch result {
      case .success(let value):
        if let startedAt { store(value, key, bornAt: startedAt, &state) }
        return (waiters, .success(Answer(value: value?.value, isStale: false)))
      case .failure(let error):
        state.statistics.fetchesFailed += 1
        // The error of an obsolete fetch does not concern the current answer.
        guard startedAt != nil, state.table.change(key, { $0.failedAt = now }) != nil,
          let known = Self.find(key, policy, now, &state)
        else { return (waiters, .failure(error)) }
        state.statistics.staleServed += UInt64(waiters.count)
        return (waiters, .success(Answer(value: known.value, isStale: known.freshness >= .stale)))
      }
    }
    for waiter in waiters { waiter.resume(with: outcome) }
  }
}

/// The next step of a caller for which there is no answer in memory.
private enum FetchStep {
  case wait
  case begin(UInt64)
  case give(NearCacheStore.Answer)
  case cancelled
}
