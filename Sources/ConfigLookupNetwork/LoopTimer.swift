// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Glibc

/// A timer of an event loop, used on its thread only. The loop keeps it until it fires or is cancelled.
final class LoopTimer: RPCTimer {
  private unowned let loop: EventLoop
  private var event: OpaquePointer?
  private var job: (() -> Void)?

  init(loop: EventLoop, base: OpaquePointer, delay: Duration, job: @escaping () -> Void) {
    self.loop = loop
    self.job = job
    // The pointer is unretained, because `event` is freed before the loop releases `self`.
    event = event_new(base, -1, 0, timerFired, Unmanaged.passUnretained(self).toOpaque())
    var time = timeval(delay)
    event_add(event, &time)
  }

  deinit {
    precondition(event == nil, "a timer must fire or be cancelled")
  }

  func cancel() {
    guard event != nil else { return }
    end()
  }

  fileprivate func fire() {
    loop.beginWork()
    let job = job
    end()
    job?()
  }

  private func end() {
    if let event { event_free(event) }
    event = nil
    job = nil
    loop.forget(self)
  }
}

private func timerFired(_: Int32, _: Int16, _ argument: UnsafeMutableRawPointer?) {
  guard let argument else { return }
  Unmanaged<LoopTimer>.fromOpaque(argument).takeUnretainedValue().fire()
}

extension timeval {
  /// Creates a time of at least 0 and at most a hundred years.
  init(_ duration: Duration) {
    let microseconds = min(max(0, Int(duration.nanoseconds / 1000)), 3_200_000_000_000_000)
    self.init(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
  }
}
