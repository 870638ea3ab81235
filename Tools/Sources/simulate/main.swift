// SPDX-License-Identifier: Apache-2.0
internal import Foundation

// The iteration order of sets must be the same in every run. The runtime reads this variable when it starts, so the
// program sets it and executes itself again.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
  setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
  execv("/proc/self/exe", CommandLine.unsafeArgv)
}

do throws(Campaign.Usage) {
  let campaign = try Campaign(arguments: CommandLine.arguments.dropFirst())
  exit(campaign.run() ? 0 : 1)
} catch {
  print(error.text)
  exit(error.isAskedFor ? 0 : 64)
}
