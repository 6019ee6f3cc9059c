#include "operator/kube/client.h"

#include <atomic>
#include <boost/asio/ssl.hpp>
#include <condition_variable>
#include <cpprest/http_client.h>
#include <fmt/core.h>
#include <fstream>
#include <mutex>
#include <optional>
#include <pplx/threadpool.h>
#include <sstream>

#include "operator/kube/internal/wire.h"

namespace millrace::kube {

namespace {

namespace http = web::http;
using SteadyClock = std::chrono::steady_clock;

constexpr auto token_kept_for = std::chrono::seconds(60);

void use_credentials(boost::asio::ssl::context& context, const Credentials& credentials) {
    if (!credentials.ca_pem.empty()) {
        // cpprest has put whom this machine trusts into it, more than a megabyte a connection.
        SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
        context.add_certificate_authority(boost::asio::buffer(credentials.ca_pem));
    } else {
        context.set_default_verify_paths();
    }
    if (!credentials.client_pem.empty()) {
        context.use_certificate_chain(boost::asio::buffer(credentials.client_pem));
        context.use_private_key(boost::asio::buffer(credentials.client_key_pem.reveal()),
                                boost::asio::ssl::context::pem);
    }
}

http::client::http_client_config config_for(const Credentials& credentials,
                                            std::chrono::seconds deadline) {
    http::client::http_client_config config;
    config.set_timeout(deadline);
    if (credentials.url.starts_with("https:")) {
        config.set_ssl_context_callback([credentials](boost::asio::ssl::context& context) {
            use_credentials(context, credentials);
        });
    }
    return config;
}

/// The bearer token, read again from its file once a minute: Kubernetes replaces it.
class Token {
public:
    explicit Token(const Credentials& credentials)
        : file_(credentials.token_file), token_(credentials.token) {}

    Secret current() {
        const std::lock_guard lock(mutex_);
        const auto now = SteadyClock::now();
        if (!file_.empty() && now >= read_again_) {
            read_again_ = now + token_kept_for;
            std::ifstream file(file_);
            std::ostringstream text;
            text << file.rdbuf();
            std::string token = text.str();
            while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) {
                token.pop_back();
            }
            if (!token.empty()) {
                token_ = Secret(std::move(token));  // A file in the middle of being replaced keeps
            }  // the old one.
        }
        return token_;
    }
    void read_again() {
        const std::lock_guard lock(mutex_);
        read_again_ = {};
    }

private:
    std::mutex mutex_;
    const std::filesystem::path file_;
    Secret token_;
    SteadyClock::time_point read_again_;
};

struct Answer {
    int code = 0;
    std::string body;
    std::chrono::seconds retry_after{0};
};

class Client final : public Api {
public:
    Client(Credentials credentials, ClientOptions options)
        : options_(std::move(options)),
          token_(credentials),
          calls_(credentials.url, config_for(credentials, options_.deadline)),
          watches_(credentials.url,
                   config_for(credentials, options_.watch_length + std::chrono::seconds(30))) {}

    Result<Json> get(const Kind& kind, const ObjectKey& key) override {
        return call("GET", object_path(kind, key), "", "", Repeat::yes);
    }

    Result<Listed> list(const Kind& kind, const Selection& selection) override {
        Listed listed;
        std::string next;
        do {
            std::string query = fmt::format("limit={}", options_.page);
            add_query(query, "labelSelector", selection.labels);
            add_query(query, "fieldSelector", selection.fields);
            add_query(query, "continue", next);
            MR_TRY(Json page, call("GET", collection_path(kind, selection.space) + "?" + query, "",
                                   "", Repeat::yes));
            listed.version = page["metadata"]["resourceVersion"].text();
            next = page["metadata"]["continue"].text();
            for (Json& item : page["items"].mutable_items()) {
                complete_item(kind, item);
                item["metadata"].erase("managedFields");  // Half of it, and nobody reads them.
                listed.items.push_back(std::move(item));
            }
        } while (!next.empty());
        return listed;
    }

    Result<Json> create(const Kind& kind, const Json& object) override {
        return call("POST", collection_path(kind, key_of(object).space) + "?" + manager(),
                    "application/json", object.dump(), Repeat::no);
    }
    Result<Json> rehearse_create(const Kind& kind, const Json& object) override {
        return call("POST",
                    collection_path(kind, key_of(object).space) + "?dryRun=All&" + manager(),
                    "application/json", object.dump(), Repeat::yes);
    }
    Result<Json> replace(const Kind& kind, const Json& object) override {
        return call("PUT", object_path(kind, key_of(object)) + "?" + manager(), "application/json",
                    object.dump(), Repeat::no);
    }
    Result<Json> apply(const Kind& kind, const Json& object) override {
        return call("PATCH", object_path(kind, key_of(object)) + "?force=true&" + manager(),
                    "application/apply-patch+yaml", object.dump(), Repeat::yes);
    }
    Result<Json> apply_status(const Kind& kind, const Json& object) override {
        return call("PATCH", object_path(kind, key_of(object)) + "/status?force=true&" + manager(),
                    "application/apply-patch+yaml", object.dump(), Repeat::yes);
    }
    Result<Json> merge(const Kind& kind, const ObjectKey& key, const Json& patch) override {
        return call("PATCH", object_path(kind, key) + "?" + manager(),
                    "application/merge-patch+json", patch.dump(), Repeat::yes);
    }
    Result<Json> remove(const Kind& kind, const ObjectKey& key,
                        const Preconditions& preconditions) override {
        Json options = Json::object({{"apiVersion", "v1"}, {"kind", "DeleteOptions"}});
        options["propagationPolicy"] = "Background";
        if (!preconditions.uid.empty()) {
            options["preconditions"]["uid"] = preconditions.uid;
        }
        if (!preconditions.version.empty()) {
            options["preconditions"]["resourceVersion"] = preconditions.version;
        }
        return call("DELETE", object_path(kind, key), "application/json", options.dump(),
                    Repeat::yes);
    }

    Result<void> watch(const Kind& kind, const Selection& selection, const std::string& version,
                       const OnChange& on_change) override;

    void stop() override {
        stopping_.cancel();
        const std::lock_guard lock(pause_mutex_);
        pause_.notify_all();
    }

private:
    enum class Repeat { no, yes };

    std::string manager() const { return "fieldManager=" + options_.field_manager; }

    http::http_request request_for(const std::string& method, const std::string& target) {
        http::http_request request(method);
        request.set_request_uri(web::uri(target));
        request.headers().add("Accept", "application/json");
        request.headers().add("User-Agent", "millrace-operator");
        if (const Secret token = token_.current(); !token.empty()) {
            request.headers().add("Authorization", "Bearer " + token.reveal());
        }
        return request;
    }

    Result<Answer> send(const std::string& method, const std::string& target,
                        const std::string& content_type, const std::string& body) {
        try {
            http::http_request request = request_for(method, target);
            if (!content_type.empty()) {
                request.set_body(body, content_type);
            }
            http::http_response response = calls_.request(request, stopping_.get_token()).get();
            Answer answer;
            answer.code = response.status_code();
            answer.body = response.extract_utf8string(true).get();
            if (const auto after = response.headers().find("Retry-After");
                after != response.headers().end()) {
                answer.retry_after = std::chrono::seconds(std::atoi(after->second.c_str()));
            }
            return answer;
        } catch (const std::exception& failure) {
            return Error::make(Code::unavailable, "{} {}: {}", method, target, failure.what());
        }
    }

    /// Waits before another try; false once stop() was called.
    bool pause(std::chrono::milliseconds time) {
        std::unique_lock lock(pause_mutex_);
        return !pause_.wait_for(lock, time, [this] { return stopping_.get_token().is_canceled(); });
    }

    Result<Json> call(const std::string& method, const std::string& target,
                      const std::string& content_type, const std::string& body, Repeat repeat) {
        std::chrono::milliseconds wait{100};
        for (int attempt = 1;; ++attempt) {
            const Result<Answer> answer = send(method, target, content_type, body);
            const bool last = attempt >= options_.tries;
            if (!answer) {
                if (repeat == Repeat::no || last || !pause(wait)) {
                    return answer.error();
                }
            } else if (answer->code >= 200 && answer->code < 300) {
                return Json::parse(answer->body);
            } else {
                if (answer->code == 401) {
                    token_.read_again();
                }
                const bool later = answer->code == 429 || answer->code == 401 ||
                                   (answer->code >= 500 && repeat == Repeat::yes);
                const auto asked = std::chrono::milliseconds(answer->retry_after);
                // A long wait belongs to the caller's queue, which has other work meanwhile.
                if (!later || last || asked > std::chrono::seconds(2) ||
                    !pause(std::max(wait, asked))) {
                    return error_of(method, target, answer->code, answer->body);
                }
            }
            wait *= 2;
        }
    }

    const ClientOptions options_;
    Token token_;
    http::client::http_client calls_;
    http::client::http_client watches_;
    pplx::cancellation_token_source stopping_;
    std::mutex pause_mutex_;
    std::condition_variable pause_;
};

/// Reads a stream of lines: waits for the first byte, then takes all that is there.
class Lines {
public:
    explicit Lines(const concurrency::streams::istream& body) : buffer_(body.streambuf()) {}

    /// None at the end of the stream. Throws what cpprest throws.
    std::optional<std::string> next() {
        for (;;) {
            if (const auto line = split_.next()) {
                return line;
            }
            const int first = buffer_.bumpc().get();
            if (first == decltype(buffer_)::traits::eof()) {
                return std::nullopt;
            }
            std::string bytes(1, static_cast<char>(first));
            if (const std::size_t more = buffer_.in_avail(); more > 0) {
                std::string rest(more, '\0');
                const std::size_t got =
                    buffer_.getn(reinterpret_cast<std::uint8_t*>(rest.data()), more).get();
                bytes.append(rest, 0, got);
            }
            split_.add(bytes);
        }
    }

private:
    concurrency::streams::streambuf<std::uint8_t> buffer_;
    LineSplitter split_;
};

Result<void> Client::watch(const Kind& kind, const Selection& selection, const std::string& version,
                           const OnChange& on_change) {
    std::string target = collection_path(kind, selection.space) +
                         fmt::format("?watch=true&allowWatchBookmarks=true&timeoutSeconds={}",
                                     options_.watch_length.count());
    add_query(target, "labelSelector", selection.labels);
    add_query(target, "fieldSelector", selection.fields);
    add_query(target, "resourceVersion", version);
    // Linked to stop(), and cancelled on the way out: an abandoned stream must not go on.
    pplx::cancellation_token stopped = stopping_.get_token();
    auto ours = pplx::cancellation_token_source::create_linked_source(stopped);
    Result<void> outcome;
    try {
        http::http_response response =
            watches_.request(request_for("GET", target), ours.get_token()).get();
        if (response.status_code() != http::status_codes::OK) {
            if (response.status_code() == http::status_codes::Unauthorized) {
                token_.read_again();
            }
            return error_of("WATCH", target, response.status_code(),
                            response.extract_utf8string(true).get());
        }
        Lines lines(response.body());
        while (const auto line = lines.next()) {
            MR_TRY(WatchLine parsed, parse_watch_line(*line));
            if (!on_change(parsed.change, std::move(parsed.object))) {
                break;
            }
        }
    } catch (const std::exception& failure) {
        outcome = Error::make(Code::unavailable, "watching {}: {}", kind.plural, failure.what());
    }
    ours.cancel();
    return outcome;
}

}  // namespace

Result<std::shared_ptr<Api>> connect(Credentials credentials, ClientOptions options) {
    try {
        try {
            crossplat::threadpool::initialize_with_threads(
                static_cast<std::size_t>(options.pool_threads));
        } catch (const std::exception&) {
            // The pool is there already: this process has another user of cpprest.
        }
        return std::shared_ptr<Api>(
            std::make_shared<Client>(std::move(credentials), std::move(options)));
    } catch (const std::exception& failure) {
        return Error::make(Code::invalid, "the API server's address or credentials: {}",
                           failure.what());
    }
}

}  // namespace millrace::kube
