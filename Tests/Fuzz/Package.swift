// swift-tools-version: 6.2
import PackageDescription

// A package of its own: it is built with libFuzzer, and nobody who builds the service has to. See script/fuzz.
let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "ConfigLookup", path: "../..")],
  targets: [
    .executableTarget(
      name: "Fuzz",
      dependencies: [.product(name: "_Fuzzed", package: "ConfigLookup")],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .treatAllWarnings(as: .error),
      ])
  ]
)
