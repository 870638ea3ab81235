// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The programs that measure the service and inject faults into it. They are a separate package, so that a build of the
// root package is the service and its tests only. The scripts build this package in the build folder of the root
// (build_tools in script/common), so that the two packages share the compiled modules of the service.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

/// A program in the folder of its name in Sources, with a product of the root package.
func program(_ name: String, _ product: String) -> Target {
  .executableTarget(
    name: name, dependencies: [.product(name: product, package: "ConfigLookup")], swiftSettings: strict)
}

let package = Package(
  name: "Tools",
  dependencies: [.package(name: "ConfigLookup", path: "..")],
  targets: [
    program("faults", "_TestSupport"),
    program("mongo-model", "_TestSupport"),
    program("parts", "_TestSupport"),
    // Without the modules for sockets and MongoDB, so that script/mutations builds as little as possible.
    program("simulate", "_Simulation"),
    program("subscribers", "_TestSupport"),
  ]
)
