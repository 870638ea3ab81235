// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupRPC
internal import Glibc

/// A timer of an event loop, used on its thread only. The loop keeps it until it fires or is cancelled.
final class LoopTimer: RPCTimer {
  private unowned let loop: EventLoop
  private var event: OpaquePointer?
  private var job: (() -> Void)?

  init(loop: EventLoop, base: OpaquePointer, seconds: Double, job: @escaping () -> Void) {
    self.loop = loop
    self.job = job
    // The pointer is unretained, because `event` is freed before the loop releases `self`.
    event = event_new(base, -1, 0, timerFired, Unmanaged.passUnretained(self).toOpaque())
    var time = timeval(seconds: seconds)
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
  init(seconds: Double) {
    let microseconds = seconds > 0 ? Int(min(seconds, 3.2e9) * 1e6) : 0
    self.init(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
  }
}
