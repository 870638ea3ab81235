// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
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

/// An executable that only tests need.
func testTool(_ name: String, path: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies + ["TestSupport"], path: path, swiftSettings: strict)
}

let package = Package(
  name: "ConfigLookup",
  products: [
    .library(name: "ChangeStreamCache", targets: ["ChangeStreamCache", "BSON", "Core"]),
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
    library("Core", ["CLinux"]),
    library("NearCache", ["Core"]),
    library("BSON", ["Core", "CBSON"]),
    library("ChangeStreamCache", ["Core", "BSON", "CLinux", "CXXHash"]),
    library("MongoSource", ["Core", "BSON", "ChangeStreamCache", "CMongoC"]),
    library("ProtobufMessages", ["CConfigLookupProto", "CProtobufC"]),
    library("ConfigModels", ["BSON", "ChangeStreamCache", "ProtobufMessages", "CConfigLookupProto", "CXXHash"]),
    library("RPC", ["Core"]),
    library(
      "LookupService",
      [
        "Core", "ChangeStreamCache", "ConfigModels", "RPC", "ProtobufMessages", "CConfigLookupProto", "CProtobufC",
        "CXXHash",
      ]),
    library("Credentials", ["Core", "RPC", "TLS", "LookupService"]),
    library("GRPCServices", ["Core", "RPC", "ProtobufMessages", "CConfigLookupProto"]),
    library("TLS", ["Core", "COpenSSL"]),
    library("Network", ["Core", "RPC", "TLS", "CLibevent"]),
    library("OpenTelemetry", ["Core", "Network", "ProtobufMessages"]),
    library("FramedTransport", ["Core", "RPC", "TLS", "Network"]),
    library("GRPCTransport", ["Core", "RPC", "TLS", "Network", "ProtobufMessages", "CNGHTTP2"]),
    library(
      "Server",
      [
        "Core", "MongoSource", "ChangeStreamCache", "ConfigModels", "LookupService", "Credentials", "GRPCServices",
        "RPC", "TLS", "Network", "OpenTelemetry", "FramedTransport", "GRPCTransport",
      ]),
    library(
      "CommandLineTool",
      [
        "Core", "BSON", "ConfigModels", "ChangeStreamCache", "MongoSource", "RPC", "TLS", "Network",
        "FramedTransport", "GRPCTransport", "ConfigLookupClient", "ProtobufMessages", "CConfigLookupProto",
      ]),
    library(
      "ConfigLookupClient",
      ["Core", "NearCache", "RPC", "TLS", "Network", "FramedTransport", "ProtobufMessages", "CConfigLookupProto"]),
    .executableTarget(name: "config-lookup-server", dependencies: ["Server"], swiftSettings: strict),
    .executableTarget(name: "config-lookup", dependencies: ["CommandLineTool"], swiftSettings: strict),

    .executableTarget(
      name: "prompt-worker", dependencies: ["ConfigLookupClient", "NearCache"], path: "examples/swift/PromptWorker",
      swiftSettings: strict),

    // A program that is run by script/faults.
    .executableTarget(
      name: "faults",
      dependencies: [
        "ServiceTestSupport", "TestSupport", "Guarantees", "MongoSource", "FramedTransport", "Network", "RPC", "BSON",
        "Core",
      ], path: "Tests/Faults", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Core", "BSON", "ChangeStreamCache", "RPC"], path: "Tests/TestSupport",
      swiftSettings: strict),
    .target(
      name: "ServiceTestSupport",
      dependencies: [
        "TestSupport", "FramedTransport", "GRPCTransport", "Network", "RPC", "Core", "BSON", "ProtobufMessages",
        "CConfigLookupProto",
      ], path: "Tests/ServiceTestSupport", swiftSettings: strict),
    .target(name: "Guarantees", dependencies: ["Core"], path: "Tests/Guarantees", swiftSettings: strict),
    tests("GuaranteesTests", ["Guarantees", "Core"]),
    .target(
      name: "Simulation",
      dependencies: ["Guarantees", "LookupService", "ConfigModels", "ChangeStreamCache", "RPC", "BSON", "Core"],
      path: "Tests/Simulation", exclude: ["Mutations"], swiftSettings: strict),
    // A program that is run by script/simulate.
    .executableTarget(
      name: "simulate", dependencies: ["Simulation", "Guarantees"], path: "Tests/simulate", swiftSettings: strict),
    tests("SimulationTests", ["Guarantees"]),
    tests("CoreTests", ["Core"]),
    tests("NearCacheTests", ["NearCache", "Core"]),
    tests("BSONTests", ["BSON", "Core"]),
    tests("ChangeStreamCacheTests", ["ChangeStreamCache", "BSON", "Core"]),
    tests(
      "ConfigModelsTests", ["ConfigModels", "BSON", "ChangeStreamCache", "ProtobufMessages", "CConfigLookupProto"]),
    tests("RPCTests", ["RPC", "Core"]),
    tests(
      "LookupServiceTests",
      [
        "LookupService", "ConfigModels", "RPC", "ChangeStreamCache", "BSON", "Core", "ProtobufMessages",
        "CConfigLookupProto",
      ]),
    tests("CredentialsTests", ["Credentials", "LookupService", "RPC", "TLS"]),
    tests("GRPCServicesTests", ["GRPCServices", "RPC", "Core", "ProtobufMessages"]),
    tests("TLSTests", ["TLS"]),
    tests("NetworkTests", ["Network", "TLS", "Core"]),
    tests("OpenTelemetryTests", ["OpenTelemetry", "Network", "Core"]),
    tests(
      "FramedTransportTests",
      ["FramedTransport", "Network", "TLS", "RPC", "Core", "ProtobufMessages", "CConfigLookupProto"]),
    tests("GRPCTransportTests", ["GRPCTransport", "Network", "TLS", "RPC", "Core", "CNGHTTP2"]),
    tests(
      "IntegrationTests",
      [
        "Server", "CommandLineTool", "MongoSource", "FramedTransport", "Network", "TLS", "RPC", "Core", "BSON",
        "ChangeStreamCache", "ConfigModels", "ProtobufMessages", "CConfigLookupProto", "ServiceTestSupport",
        "ConfigLookupClient", "NearCache",
      ]),
    tests(
      "ConfigLookupClientTests",
      [
        "ConfigLookupClient", "FramedTransport", "Network", "RPC", "Core", "ProtobufMessages", "CConfigLookupProto",
      ]),
    tests("TidyTests", []),
    testTool(
      "parts", path: "Tests/Parts",
      [
        "NearCache", "BSON", "ChangeStreamCache", "ConfigModels", "Core", "FramedTransport", "LookupService", "Network",
        "RPC",
      ]),
    testTool(
      "subscribers", path: "Tests/Subscribers",
      [
        "Core", "BSON", "MongoSource", "Network", "FramedTransport", "RPC", "ProtobufMessages", "CConfigLookupProto",
      ]),
  ]
)
