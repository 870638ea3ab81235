// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import NearCache
internal import ProtobufMessages

/// The largest page that servers return.
private let largestPage = 100

extension ConfigLookupClient {
  /// Gets a page of the list of agent configs.
  ///
  /// - Parameters:
  ///   - type: the agent type, as `extractor`; empty for all.
  ///   - size: the number of summaries, 1 to 100.
  ///   - token: ``Page/nextPageToken`` of the previous page; nil for the first page.
  /// - Returns: the page, as of one moment.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func agentConfigPage(
    type: String = "", size: Int = 100, after token: String? = nil
  ) async throws -> Answer<Page<AgentConfigSummary>> {
    try await cachedValue(
      LookupCall(.agentConfig, list: "ListAgentConfigs", configlookup__v1__list_agent_configs_response__unpack) {
        arena in
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

  /// Gets a page of the list of active prompts.
  ///
  /// - Parameters:
  ///   - size: the number of summaries, 1 to 100.
  ///   - token: ``Page/nextPageToken`` of the previous page; nil for the first page.
  /// - Returns: the page, as of one moment.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func promptPage(size: Int = 100, after token: String? = nil) async throws -> Answer<Page<PromptSummary>> {
    try await cachedValue(
      LookupCall(.prompt, list: "ListPrompts", configlookup__v1__list_prompts_response__unpack) { arena in
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

  /// Gets a page of the list of source configs.
  ///
  /// - Parameters:
  ///   - ingestionMode: `blob_trigger` or `scheduled_pull`; empty for all.
  ///   - size: the number of summaries, 1 to 100.
  ///   - token: ``Page/nextPageToken`` of the previous page; nil for the first page.
  /// - Returns: the page, as of one moment.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func sourceConfigPage(
    ingestionMode: String = "", size: Int = 100, after token: String? = nil
  ) async throws -> Answer<Page<SourceConfigSummary>> {
    try await cachedValue(
      LookupCall(
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

  /// Lists the agent configs. A page is fetched when the sequence reaches it.
  ///
  /// - Parameter type: the agent type, as `extractor`; empty for all.
  /// - Returns: the summaries in order of key.
  public func agentConfigs(type: String = "") -> Summaries<AgentConfigSummary> {
    Summaries { try await self.agentConfigPage(type: type, size: largestPage, after: $0) }
  }

  /// Lists the active prompts. A page is fetched when the sequence reaches it.
  ///
  /// - Returns: the summaries in order of key.
  public func prompts() -> Summaries<PromptSummary> {
    Summaries { try await self.promptPage(size: largestPage, after: $0) }
  }

  /// Lists the source configs. A page is fetched when the sequence reaches it.
  ///
  /// - Parameter ingestionMode: `blob_trigger` or `scheduled_pull`; empty for all.
  /// - Returns: the summaries in order of key.
  public func sourceConfigs(ingestionMode: String = "") -> Summaries<SourceConfigSummary> {
    Summaries { try await self.sourceConfigPage(ingestionMode: ingestionMode, size: largestPage, after: $0) }
  }
}

/// A list of a ``ConfigLookupClient`` in order of key, as an `AsyncSequence` that fetches its pages while it is read.
///
/// An item that is in the list throughout the iteration is returned exactly once, whatever changes meanwhile.
public struct Summaries<Summary: Sendable & Hashable>: AsyncSequence, Sendable {
  /// The summary of one document.
  public typealias Element = Summary
  typealias Ask = @Sendable (String?) async throws -> Answer<Page<Summary>>

  private let page: Ask

  init(_ page: @escaping Ask) {
    self.page = page
  }

  /// Starts an iteration at the first page.
  ///
  /// - Returns: an iterator for one task.
  public func makeAsyncIterator() -> Iterator { Iterator(page: page) }

  /// The iterator of ``Summaries``. For one task.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let page: Ask
    private var rest: ArraySlice<Summary> = []
    private var token: String?
    private var isLast = false

    fileprivate init(page: @escaping Ask) {
      self.page = page
    }

    /// Returns the next summary, and fetches the next page if necessary.
    ///
    /// - Returns: the summary; nil at the end of the list.
    /// - Throws: ``ConfigLookupError``; `CancellationError`.
    public mutating func next() async throws -> Summary? {
      // A page that is not the last one may be empty.
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
