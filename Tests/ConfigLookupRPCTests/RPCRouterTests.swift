// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupRPC
import Testing

struct RPCRouterTests {
  private func method(_ name: String) -> RPCMethod {
    RPCMethod(service: "test.v1.Test", name: name, handler: .unary { _, _ in nil })
  }

  private func find(_ name: [UInt8], in router: RPCRouter) -> String? {
    name.withUnsafeBytes { router.method(named: $0)?.name }
  }

  @Test func findsAMethodByItsBareName() {
    let router = RPCRouter([method("Get"), method("GetMore"), method("List")])
    #expect(find(Array("Get".utf8), in: router) == "Get")
    #expect(find(Array("GetMore".utf8), in: router) == "GetMore")
    #expect(find(Array("List".utf8), in: router) == "List")
  }

  @Test(arguments: ["", "get", "Ge", "GetM", "Get\0", "test.v1.Test/Get"])
  func findsNothingForANameThatIsNotExactlyOne(name: String) {
    #expect(find(Array(name.utf8), in: RPCRouter([method("Get"), method("GetMore")])) == nil)
  }

  @Test func findsAMethodByItsPath() {
    let router = RPCRouter([
      method("Get"), RPCMethod(service: "other", name: "Get", handler: .unary { _, _ in nil }),
    ])
    func find(_ path: String) -> String? {
      Array(path.utf8).withUnsafeBytes { router.method(path: $0)?.service }
    }
    #expect(find("/test.v1.Test/Get") == "test.v1.Test")
    #expect(find("/other/Get") == "other")
    for path in ["", "/", "Get", "/Get", "test.v1.Test/Get", "/test.v1.Test/Get/", "/test.v1.Test/get"] {
      #expect(find(path) == nil)
    }
  }

  @Test func twoMethodsOfOneServiceAndNameAreABug() async {
    await #expect(processExitsWith: .failure) {
      let handler = RPCMethod.Handler.unary { _, _ in nil }
      _ = RPCRouter([
        RPCMethod(service: "a", name: "Get", handler: handler), RPCMethod(service: "a", name: "Get", handler: handler),
      ])
    }
  }
}
