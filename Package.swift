// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import Foundation
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: strict)
}

let package = Package(
  name: "ConfigLookup",
  products: [
    .library(name: "ChangeStreamCache", targets: ["ChangeStreamCache", "ConfigLookupBSON", "ConfigLookupCore"]),
    .library(name: "MongoSource", targets: ["MongoSource"]),
    .library(name: "NearCache", targets: ["NearCache"]),
    .library(name: "ConfigLookupClient", targets: ["ConfigLookupClient"]),
    .executable(name: "config-lookup-server", targets: ["config-lookup-server"]),
    .executable(name: "config-lookup", targets: ["config-lookup"]),
    // For Tests/Fuzz only, which is a package of its own.
    .library(name: "_Fuzzed", targets: ["LookupService", "FramedTransport", "GRPCTransport"]),
  ],
  targets: [
    // C libraries of the distribution.
    .systemLibrary(name: "CBSON", pkgConfig: "libbson-1.0", providers: [.apt(["libbson-dev"])]),
    .systemLibrary(name: "CMongoC", pkgConfig: "libmongoc-1.0", providers: [.apt(["libmongoc-dev"])]),
    .systemLibrary(name: "CLibevent", pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),

    // In the order of the data: see docs/internals/architecture.md.
    .target(name: "CConfigLookupProto", dependencies: ["CProtobufC"]),
    .target(name: "CLinux", dependencies: []),
    library("ConfigLookupCore", ["CLinux"]),
    library("NearCache", ["ConfigLookupCore"]),
    library("ConfigLookupBSON", ["ConfigLookupCore", "CBSON"]),
    library("ChangeStreamCache", ["ConfigLookupCore", "ConfigLookupBSON", "CLinux", "CXXHash"]),
    library("MongoSource", ["ConfigLookupCore", "ConfigLookupBSON", "ChangeStreamCache", "CMongoC"]),
    library("ProtobufMessages", ["CConfigLookupProto", "CProtobufC"]),
    library(
      "ConfigModels", ["ConfigLookupBSON", "ChangeStreamCache", "ProtobufMessages", "CConfigLookupProto", "CXXHash"]),
    library("ConfigLookupRPC", ["ConfigLookupCore", "ProtobufMessages"]),
    library(
      "LookupService",
      [
        "ConfigLookupCore", "ChangeStreamCache", "ConfigModels", "ConfigLookupRPC", "ProtobufMessages",
        "CConfigLookupProto", "CProtobufC",
        "CXXHash",
      ]),
    library("ConfigLookupCredentials", ["ConfigLookupCore", "ConfigLookupRPC", "ConfigLookupTLS", "LookupService"]),
    library("GRPCServices", ["ConfigLookupCore", "ConfigLookupRPC", "ProtobufMessages", "CConfigLookupProto"]),
    library("ConfigLookupTLS", ["ConfigLookupCore", "COpenSSL"]),
    library("ConfigLookupNetwork", ["ConfigLookupCore", "ConfigLookupRPC", "ConfigLookupTLS", "CLibevent"]),
    library("ConfigLookupTelemetry", ["ConfigLookupCore", "ConfigLookupNetwork", "ProtobufMessages"]),
    library("FramedTransport", ["ConfigLookupCore", "ConfigLookupRPC", "ConfigLookupTLS", "ConfigLookupNetwork"]),
    library(
      "GRPCTransport",
      [
        "ConfigLookupCore", "ConfigLookupRPC", "ConfigLookupTLS", "ConfigLookupNetwork", "ProtobufMessages", "CNGHTTP2",
      ]),
    library(
      "ConfigLookupServer",
      [
        "ConfigLookupCore", "MongoSource", "ChangeStreamCache", "ConfigModels", "LookupService",
        "ConfigLookupCredentials", "GRPCServices",
        "ConfigLookupRPC", "ConfigLookupTLS", "ConfigLookupNetwork", "ConfigLookupTelemetry", "FramedTransport",
        "GRPCTransport",
      ]),
    library(
      "CommandLineTool",
      [
        "ConfigLookupCore", "ConfigLookupBSON", "ConfigModels", "ChangeStreamCache", "MongoSource", "ConfigLookupRPC",
        "ConfigLookupTLS", "ConfigLookupNetwork",
        "FramedTransport", "GRPCTransport", "ConfigLookupClient", "ProtobufMessages", "CConfigLookupProto",
      ]),
    library(
      "ConfigLookupClient",
      [
        "ConfigLookupCore", "NearCache", "ConfigLookupRPC", "ConfigLookupTLS", "ConfigLookupNetwork", "FramedTransport",
        "ProtobufMessages", "CConfigLookupProto",
      ]),
    .executableTarget(name: "config-lookup-server", dependencies: ["ConfigLookupServer"], swiftSettings: strict),
    .executableTarget(name: "config-lookup", dependencies: ["CommandLineTool"], swiftSettings: strict),
  ]
)

// What a checkout has besides Sources. The image is built from Package.swift and Sources alone, and SwiftPM rejects a
// target whose folder is missing.
if FileManager.default.fileExists(atPath: Context.packageDirectory + "/Tests") {
  // For Tools only, which is a package of its own and needs what it shares with the tests. The support targets stay
  // here because the root package cannot depend on a package that depends on it. An underscore marks a product without
  // a promise of compatibility.
  package.products += [
    .library(name: "_Simulation", targets: ["Simulation", "Guarantees"]),
    .library(
      name: "_TestSupport",
      targets: [
        "TestSupport", "ServiceTestSupport", "Guarantees", "MongoModel", "MongoSource", "LookupService", "ConfigModels",
        "FramedTransport", "NearCache",
      ]),
  ]
  package.targets += [
    .executableTarget(
      name: "prompt-worker", dependencies: ["ConfigLookupClient", "NearCache"], path: "examples/swift/PromptWorker",
      swiftSettings: strict),

    .target(
      name: "TestSupport",
      dependencies: ["ConfigLookupCore", "ConfigLookupBSON", "ChangeStreamCache", "ConfigLookupRPC"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    .target(
      name: "ServiceTestSupport",
      dependencies: [
        "TestSupport", "FramedTransport", "GRPCTransport", "ConfigLookupNetwork", "ConfigLookupRPC", "ConfigLookupCore",
        "ConfigLookupBSON", "ProtobufMessages",
        "CConfigLookupProto",
      ], path: "Tests/ServiceTestSupport", swiftSettings: strict),
    .target(name: "Guarantees", dependencies: ["ConfigLookupCore"], path: "Tests/Guarantees", swiftSettings: strict),
    .target(
      name: "MongoModel", dependencies: ["TestSupport", "ConfigLookupBSON", "ConfigLookupCore"],
      path: "Tests/MongoModel", swiftSettings: strict),
    tests(
      "MongoModelTests",
      [
        "MongoModel", "ServiceTestSupport", "Guarantees", "ConfigLookupBSON", "ConfigLookupCore",
        "ConfigLookupNetwork", "ConfigLookupRPC",
      ]),
    tests("GuaranteesTests", ["Guarantees", "ConfigLookupCore"]),
    .target(
      name: "Simulation",
      dependencies: [
        "Guarantees", "LookupService", "ConfigModels", "ChangeStreamCache", "ConfigLookupRPC", "ConfigLookupBSON",
        "ConfigLookupCore",
      ],
      path: "Tests/Simulation", exclude: ["Mutations"], swiftSettings: strict),
    tests("SimulationTests", ["Simulation", "Guarantees"]),
    tests("ConfigLookupCoreTests", ["ConfigLookupCore"]),
    tests("NearCacheTests", ["NearCache", "ConfigLookupCore"]),
    tests("ConfigLookupBSONTests", ["ConfigLookupBSON", "ConfigLookupCore"]),
    tests("ChangeStreamCacheTests", ["ChangeStreamCache", "ConfigLookupBSON", "ConfigLookupCore"]),
    tests(
      "ConfigModelsTests",
      ["ConfigModels", "ConfigLookupBSON", "ChangeStreamCache", "ProtobufMessages", "CConfigLookupProto"]),
    tests("MongoSourceTests", ["MongoSource", "ChangeStreamCache", "ConfigLookupBSON", "ConfigLookupCore"]),
    tests("ConfigLookupRPCTests", ["ConfigLookupRPC", "ConfigLookupCore"]),
    tests(
      "LookupServiceTests",
      [
        "LookupService", "ConfigModels", "ConfigLookupRPC", "ChangeStreamCache", "ConfigLookupBSON", "ConfigLookupCore",
        "ProtobufMessages",
        "CConfigLookupProto",
      ]),
    tests(
      "ConfigLookupCredentialsTests",
      ["ConfigLookupCredentials", "LookupService", "ConfigLookupRPC", "ConfigLookupTLS"]),
    tests("GRPCServicesTests", ["GRPCServices", "ConfigLookupRPC", "ConfigLookupCore", "ProtobufMessages"]),
    tests("ConfigLookupTLSTests", ["ConfigLookupTLS"]),
    tests("ConfigLookupNetworkTests", ["ConfigLookupNetwork", "ConfigLookupTLS", "ConfigLookupCore"]),
    tests("ConfigLookupTelemetryTests", ["ConfigLookupTelemetry", "ConfigLookupNetwork", "ConfigLookupCore"]),
    tests(
      "FramedTransportTests",
      [
        "FramedTransport", "ConfigLookupNetwork", "ConfigLookupTLS", "ConfigLookupRPC", "ConfigLookupCore",
        "ProtobufMessages", "CConfigLookupProto",
      ]),
    tests(
      "GRPCTransportTests",
      ["GRPCTransport", "ConfigLookupNetwork", "ConfigLookupTLS", "ConfigLookupRPC", "ConfigLookupCore", "CNGHTTP2"]),
    tests(
      "IntegrationTests",
      [
        "ConfigLookupServer", "CommandLineTool", "MongoSource", "FramedTransport", "ConfigLookupNetwork",
        "ConfigLookupTLS", "ConfigLookupRPC", "ConfigLookupCore", "ConfigLookupBSON",
        "ChangeStreamCache", "ConfigModels", "ProtobufMessages", "CConfigLookupProto", "ServiceTestSupport",
        "ConfigLookupClient", "NearCache",
      ]),
    tests(
      "ConfigLookupClientTests",
      [
        "ConfigLookupClient", "FramedTransport", "ConfigLookupNetwork", "ConfigLookupRPC", "ConfigLookupCore",
        "ProtobufMessages", "CConfigLookupProto",
      ]),
    tests("TidyTests", []),
  ]
}
