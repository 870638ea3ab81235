// SPDX-License-Identifier: Apache-2.0
// A gRPC server in C++ with peer.v1.Lookup over a map of entries: grpc_peer PORT MODE ENTRIES
//
// MODE  callback  typed callback API, which the gRPC team recommends to new users
//       async     typed completion queue API, one thread
//       raw       completion queue API; a reply is a slice with the encoded message, without copying or encoding
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "peer.grpc.pb.h"

using peer::v1::GetReply;
using peer::v1::GetRequest;
using peer::v1::Lookup;
using peer::v1::Notice;
using peer::v1::WatchRequest;

static std::unordered_map<std::string, GetReply> entries;
static std::unordered_map<std::string, grpc::Slice> encoded;

static void load(const char* path) {
  std::ifstream f(path, std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(f)), {});
  for (size_t i = 0; i + 4 <= all.size();) {
    auto b = reinterpret_cast<const uint8_t*>(all.data()) + i;
    uint32_t n = uint32_t(b[0]) << 24 | b[1] << 16 | b[2] << 8 | b[3];
    std::string msg = all.substr(i + 4, n);
    GetReply r;
    if (!r.ParseFromString(msg)) abort();
    encoded.emplace(r.id(), grpc::Slice(msg.data(), msg.size()));
    entries.emplace(r.id(), std::move(r));
    i += 4 + n;
  }
}

// The number N of a prefix "burst:N": the stream has N notices and ends. Otherwise 0: it has one notice and stays open.
static long burst(const std::string& prefix) {
  return prefix.rfind("burst:", 0) == 0 ? atol(prefix.c_str() + 6) : 0;
}

static const grpc::Status kNotFound(grpc::StatusCode::NOT_FOUND, "no such id");

class Watcher : public grpc::ServerWriteReactor<Notice> {
 public:
  explicit Watcher(const WatchRequest* r) : n_(burst(r->prefix())), stay_(n_ == 0) {
    if (stay_) n_ = 1;
    next();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return finish();
    next();
  }
  void OnCancel() override { if (stay_ && sent_ == n_) finish(); }
  void OnDone() override { delete this; }

 private:
  void next() {
    if (sent_ < n_) {
      notice_.set_id("agent-0500");
      notice_.set_revision(++sent_);
      StartWrite(&notice_);
    } else if (!stay_) {
      finish();
    }
  }
  void finish() { if (!done_.exchange(true)) Finish(grpc::Status::OK); }
  Notice notice_;
  long n_, sent_ = 0;
  bool stay_;
  std::atomic<bool> done_{false};
};

class CallbackService final : public Lookup::CallbackService {
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* ctx, const GetRequest* q, GetReply* out) override {
    auto* r = ctx->DefaultReactor();
    auto it = entries.find(q->id());
    if (it == entries.end()) {
      r->Finish(kNotFound);
    } else {
      *out = it->second;
      r->Finish(grpc::Status::OK);
    }
    return r;
  }
  grpc::ServerWriteReactor<Notice>* Watch(grpc::CallbackServerContext*, const WatchRequest* q) override {
    return new Watcher(q);
  }
};

// ---- completion queue ----
struct Tag {
  virtual void go(bool ok) = 0;
  virtual ~Tag() = default;
};

static grpc::ServerCompletionQueue* cq;

struct TypedGet final : Tag {
  explicit TypedGet(Lookup::AsyncService* s) : svc(s) { arm(); }
  void arm() {
    ctx = std::make_unique<grpc::ServerContext>();
    w = std::make_unique<grpc::ServerAsyncResponseWriter<GetReply>>(ctx.get());
    replied = false;
    svc->RequestGet(ctx.get(), &q, w.get(), cq, cq, this);
  }
  void go(bool ok) override {
    if (!ok && !replied) { delete this; return; }
    if (replied) { arm(); return; }
    replied = true;
    auto it = entries.find(q.id());
    if (it == entries.end()) w->FinishWithError(kNotFound, this);
    else w->Finish(it->second, grpc::Status::OK, this);     // Encodes directly from the map.
  }
  Lookup::AsyncService* svc;
  std::unique_ptr<grpc::ServerContext> ctx;
  std::unique_ptr<grpc::ServerAsyncResponseWriter<GetReply>> w;
  GetRequest q;
  bool replied = false;
};

using RawService = Lookup::WithRawMethod_Get<Lookup::WithAsyncMethod_Watch<Lookup::Service>>;

struct RawGet final : Tag {
  explicit RawGet(RawService* s) : svc(s) { arm(); }
  void arm() {
    ctx = std::make_unique<grpc::ServerContext>();
    w = std::make_unique<grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>>(ctx.get());
    replied = false;
    q.Clear();
    svc->RequestGet(ctx.get(), &q, w.get(), cq, cq, this);
  }
  void go(bool ok) override {
    if (!ok && !replied) { delete this; return; }
    if (replied) { arm(); return; }
    replied = true;
    grpc::Slice s;
    GetRequest m;
    if (!q.TrySingleSlice(&s).ok() && !q.DumpToSingleSlice(&s).ok()) abort();
    auto it = m.ParseFromArray(s.begin(), s.size()) ? encoded.find(m.id()) : encoded.end();
    if (it == encoded.end()) w->FinishWithError(kNotFound, this);
    else w->Finish(grpc::ByteBuffer(&it->second, 1), grpc::Status::OK, this);
  }
  RawService* svc;
  std::unique_ptr<grpc::ServerContext> ctx;
  std::unique_ptr<grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>> w;
  grpc::ByteBuffer q;
  bool replied = false;
};

template <class Service>
struct CqWatch final : Tag {
  explicit CqWatch(Service* s) : svc(s), w(&ctx) { svc->RequestWatch(&ctx, &q, &w, cq, cq, this); }
  void go(bool ok) override {
    if (!started) {
      if (!ok) { delete this; return; }
      new CqWatch(svc);
      started = true;
      n = burst(q.prefix());
      if (n == 0) n = 1;
    } else if (finished || !ok) {
      if (finished) { delete this; return; }
      finished = true;
      w.Finish(grpc::Status::OK, this);
      return;
    }
    if (sent < n) {
      notice.set_id("agent-0500");
      notice.set_revision(++sent);
      w.Write(notice, this);
    } else {
      finished = true;
      w.Finish(grpc::Status::OK, this);
    }
  }
  Service* svc;
  grpc::ServerContext ctx;
  WatchRequest q;
  Notice notice;
  grpc::ServerAsyncWriter<Notice> w;
  long n = 0, sent = 0;
  bool started = false, finished = false;
};

int main(int argc, char** argv) {
  if (argc < 4) { fprintf(stderr, "usage: grpc_peer PORT callback|async|raw ENTRIES\n"); return 2; }
  load(argv[3]);
  std::string mode = argv[2];
  grpc::ServerBuilder b;
  b.AddListeningPort("127.0.0.1:" + std::string(argv[1]), grpc::InsecureServerCredentials());
  b.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  b.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1000);
  b.AddChannelArgument("grpc.optimization_target", "throughput");
  CallbackService cb;
  Lookup::AsyncService as;
  RawService raw;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  if (mode == "callback") {
    b.RegisterService(&cb);
  } else {
    b.RegisterService(mode == "raw" ? static_cast<grpc::Service*>(&raw) : &as);
    queue = b.AddCompletionQueue();
    cq = queue.get();
  }
  auto server = b.BuildAndStart();
  if (!server) return 1;
  if (mode == "callback") { server->Wait(); return 0; }
  for (int i = 0; i < 512; i++) {
    if (mode == "raw") new RawGet(&raw);
    else new TypedGet(&as);
  }
  if (mode == "raw") new CqWatch<RawService>(&raw);
  else new CqWatch<Lookup::AsyncService>(&as);
  void* tag;
  bool ok;
  while (cq->Next(&tag, &ok)) static_cast<Tag*>(tag)->go(ok);
}
