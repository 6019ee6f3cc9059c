// Several namespaces that are followed one by one, against a server that keeps some of them from
// us.
#include <condition_variable>
#include <gtest/gtest.h>
#include <map>
#include <mutex>

#include "operator/kube/informer.h"

namespace millrace::kube {
namespace {

/// Lists what it was given, refuses other namespaces, and has no news for watchers.
class Server final : public Api {
public:
    void allow(const std::string& space) {
        const std::lock_guard lock(mutex_);
        spaces_[space] = true;
    }
    int lists_of(const std::string& space) {
        const std::lock_guard lock(mutex_);
        return lists_[space];
    }

    Result<Listed> list(const Kind&, const Selection& selection) override {
        const std::lock_guard lock(mutex_);
        ++lists_[selection.space];
        if (!spaces_[selection.space]) {
            return Error::make(Code::permission, "no rights in {}", selection.space);
        }
        Json pod = Json::object({{"kind", "Pod"}});
        pod["metadata"] = Json::object(
            {{"name", "one"}, {"namespace", selection.space}, {"resourceVersion", "1"}});
        return Listed{{std::move(pod)}, "1"};
    }
    Result<void> watch(const Kind&, const Selection&, const std::string&,
                       const OnChange&) override {
        std::unique_lock lock(mutex_);
        stopped_.wait(lock, [this] { return is_stopped_; });
        return Error(Code::unavailable, "stopped");
    }
    void stop() override {
        const std::lock_guard lock(mutex_);
        is_stopped_ = true;
        stopped_.notify_all();
    }

    Result<Json> get(const Kind&, const ObjectKey&) override { return no(); }
    Result<Json> create(const Kind&, const Json&) override { return no(); }
    Result<Json> rehearse_create(const Kind&, const Json&) override { return no(); }
    Result<Json> replace(const Kind&, const Json&) override { return no(); }
    Result<Json> apply(const Kind&, const Json&) override { return no(); }
    Result<Json> apply_status(const Kind&, const Json&) override { return no(); }
    Result<Json> merge(const Kind&, const ObjectKey&, const Json&) override { return no(); }
    Result<Json> remove(const Kind&, const ObjectKey&, const Preconditions&) override {
        return no();
    }

private:
    static Error no() { return {Code::unsupported, "nobody asks for it"}; }

    std::mutex mutex_;
    std::condition_variable stopped_;
    bool is_stopped_ = false;
    std::map<std::string, bool> spaces_;
    std::map<std::string, int> lists_;
};

void wait_for(const std::function<bool()>& condition) {
    while (!condition()) {
        std::this_thread::yield();
    }
}

struct SeveralNamespaces : testing::Test {
    std::shared_ptr<Server> server = std::make_shared<Server>();
    std::unique_ptr<Informers> informers;

    void follow(const std::vector<std::string>& spaces) {
        std::vector<Informers::Wanted> wanted;
        for (const std::string& space : spaces) {
            wanted.push_back({pods, {space, ""}});
        }
        informers = Informers::start(
            server, wanted, [](const Kind&, const ObjectCache::Changed&) {}, Logger());
    }
    ~SeveralNamespaces() override { server->stop(); }
};

TEST_F(SeveralNamespaces, share_one_cache) {
    server->allow("a");
    server->allow("b");
    follow({"a", "b"});
    wait_for([this] { return informers->synced(); });
    EXPECT_EQ(informers->cache(pods).size(), 2U);
    EXPECT_TRUE(informers->synced("a") && informers->synced("b"));
}

// One that was deleted, or where the role is missing, kept all others from being looked after.
TEST_F(SeveralNamespaces, that_may_not_be_read_hold_up_no_other) {
    server->allow("a");
    follow({"a", "gone"});
    wait_for([this] { return informers->synced(); });
    EXPECT_TRUE(informers->synced("a"));
    EXPECT_FALSE(informers->synced("gone")) << "nothing is known of it: nothing is done there";
    server->allow("gone");
    wait_for([this] { return informers->synced("gone"); });
    EXPECT_EQ(informers->cache(pods).size(), 2U);
}

TEST_F(SeveralNamespaces, of_which_none_may_be_read_are_waited_for) {
    follow({"a", "b"});
    wait_for([this] { return server->lists_of("a") > 1 && server->lists_of("b") > 1; });
    EXPECT_FALSE(informers->synced());
}

TEST_F(SeveralNamespaces, a_single_one_is_waited_for_as_ever) {
    follow({"a"});
    wait_for([this] { return server->lists_of("a") > 1; });
    EXPECT_FALSE(informers->synced());
}

}  // namespace
}  // namespace millrace::kube
