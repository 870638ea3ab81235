internal import CConfigLookupProto
internal import NearCache
internal import ProtobufMessages

/// The most that servers give in a page.
private let largestPage = 100

extension ConfigLookupClient {
  /// A page of the agents' configs: of one type, or of all. Throws what a lookup throws.
  ///
  /// - Parameters:
  ///   - type: `extractor`, say; empty for all.
  ///   - size: 1 to 100.
  ///   - token: ``Page/nextPageToken`` of the page before; nil for the first.
  public func agentConfigPage(
    type: String = "", size: Int = 100, after token: String? = nil
  ) async throws -> Answer<Page<AgentConfigSummary>> {
    try await kept(
      Lookup(.agentConfig, list: "ListAgentConfigs", configlookup__v1__list_agent_configs_response__unpack) { arena in
        ProtobufArena.pack(
          arena.make(configlookup__v1__list_agent_configs_request__init) {
            $0.page_size = Int32(clamping: size)
            $0.page_token = arena.bytes(token ?? "")
            $0.type = arena.bytes(type)
          })
      } read: {
        let summaries = messages($0.n_summaries, $0.summaries) { AgentConfigSummary($0) }
        return (Page(summaries, $0.next_page_token, $0.total_count), $0.metadata)
      }, listKey(.agentConfig, type, size, token))
  }

  /// A page of the active prompts.
  ///
  /// - Parameters:
  ///   - size: 1 to 100.
  ///   - token: ``Page/nextPageToken`` of the page before; nil for the first.
  public func promptPage(size: Int = 100, after token: String? = nil) async throws -> Answer<Page<PromptSummary>> {
    try await kept(
      Lookup(.prompt, list: "ListPrompts", configlookup__v1__list_prompts_response__unpack) { arena in
        ProtobufArena.pack(
          arena.make(configlookup__v1__list_prompts_request__init) {
            $0.page_size = Int32(clamping: size)
            $0.page_token = arena.bytes(token ?? "")
          })
      } read: {
        let summaries = messages($0.n_summaries, $0.summaries) { PromptSummary($0) }
        return (Page(summaries, $0.next_page_token, $0.total_count), $0.metadata)
      }, listKey(.prompt, "", size, token))
  }

  /// A page of the source configs: of one way of ingestion, or of all.
  ///
  /// - Parameters:
  ///   - ingestionMode: `blob_trigger` or `scheduled_pull`; empty for all.
  ///   - size: 1 to 100.
  ///   - token: ``Page/nextPageToken`` of the page before; nil for the first.
  public func sourceConfigPage(
    ingestionMode: String = "", size: Int = 100, after token: String? = nil
  ) async throws -> Answer<Page<SourceConfigSummary>> {
    try await kept(
      Lookup(
        .sourceConfig, list: "ListSourceConfigs", configlookup__v1__list_source_configs_response__unpack
      ) { arena in
        ProtobufArena.pack(
          arena.make(configlookup__v1__list_source_configs_request__init) {
            $0.page_size = Int32(clamping: size)
            $0.page_token = arena.bytes(token ?? "")
            $0.ingestion_mode = arena.bytes(ingestionMode)
          })
      } read: {
        let summaries = messages($0.n_summaries, $0.summaries) { SourceConfigSummary($0) }
        return (Page(summaries, $0.next_page_token, $0.total_count), $0.metadata)
      }, listKey(.sourceConfig, ingestionMode, size, token))
  }

  private func listKey(_ entity: Entity, _ filter: String, _ size: Int, _ token: String?) -> CacheKey {
    Keys.list(entity, filter, size, token, generation: watcher.listGeneration(entity))
  }

  /// All agents' configs, or those of one type, page by page as they are read.
  public func agentConfigs(type: String = "") -> Summaries<AgentConfigSummary> {
    Summaries { try await self.agentConfigPage(type: type, size: largestPage, after: $0) }
  }

  /// All active prompts.
  public func prompts() -> Summaries<PromptSummary> {
    Summaries { try await self.promptPage(size: largestPage, after: $0) }
  }

  /// All source configs, or those of one way of ingestion.
  public func sourceConfigs(ingestionMode: String = "") -> Summaries<SourceConfigSummary> {
    Summaries { try await self.sourceConfigPage(ingestionMode: ingestionMode, size: largestPage, after: $0) }
  }
}

/// A list of a ``ConfigLookupClient``, in order of key: an `AsyncSequence`, whose pages are asked for as it is read.
///
/// What is there throughout comes once, whatever changes meanwhile.
public struct Summaries<Summary: Sendable & Hashable>: AsyncSequence, Sendable {
  public typealias Element = Summary
  typealias Ask = @Sendable (String?) async throws -> Answer<Page<Summary>>

  private let page: Ask

  init(_ page: @escaping Ask) {
    self.page = page
  }

  public func makeAsyncIterator() -> Iterator { Iterator(page: page) }

  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let page: Ask
    private var rest: ArraySlice<Summary> = []
    private var token: String?
    private var isLast = false

    fileprivate init(page: @escaping Ask) {
      self.page = page
    }

    public mutating func next() async throws -> Summary? {
      // A page may be empty and not the last.
      while rest.isEmpty {
        guard !isLast, let next = try await page(token).value else { return nil }
        rest = next.summaries[...]
        token = next.nextPageToken
        isLast = token == nil
      }
      return rest.popFirst()
    }
  }
}
