#include "operator/local/internal/http_door.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/ssl.hpp>
#include <cpprest/http_listener.h>
#include <cpprest/producerconsumerstream.h>
#include <fmt/core.h>
#include <pplx/threadpool.h>

namespace millrace::local {

namespace {

namespace http = web::http;
using Listener = http::experimental::listener::http_listener;

constexpr std::size_t most_unsent = 16 << 20;
constexpr std::uint64_t most_body = 4 << 20;  ///< As the API server: an object has at most ~1.5 MB.

class Stream final : public HttpStream {
public:
    bool write(std::string_view text) override {
        if (!open_) {
            return false;
        }
        if (buffer_.in_avail() > most_unsent) {
            end();
            return false;
        }
        buffer_.putn_nocopy(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        buffer_.sync();  // Without it the reader waits for a full chunk.
        return true;
    }
    void end() override {
        if (open_.exchange(false)) {
            buffer_.close(std::ios_base::out);
        }
    }
    bool open() const override { return open_; }
    concurrency::streams::istream body() const { return buffer_.create_istream(); }

private:
    std::atomic<bool> open_ = true;
    mutable concurrency::streams::producer_consumer_buffer<std::uint8_t> buffer_;
};

Request to_request(const http::http_request& from) {
    std::string target = from.relative_uri().to_string();
    Request request = make_request(from.method(), target);
    for (const auto& [name, value] : from.headers()) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        request.headers[lower] = value;
    }
    return request;
}

class CpprestDoor final : public HttpDoor {
public:
    CpprestDoor(Listener listener, Handler handler)
        : listener_(std::move(listener)), handler_(std::move(handler)) {}

    void open() {
        listener_.support([this](const http::http_request& request) { on_request(request); });
        for (const auto& method :
             {http::methods::GET, http::methods::POST, http::methods::PUT, http::methods::DEL,
              http::methods::PATCH, http::methods::OPTIONS, http::methods::HEAD}) {
            listener_.support(method,
                              [this](const http::http_request& request) { on_request(request); });
        }
        listener_.open().wait();
    }

    void close() override {
        try {
            listener_.close().wait();
        } catch (const std::exception&) {
            // It was closed, or never opened: there is nothing left to close.
        }
    }

private:
    void on_request(const http::http_request& request) {
        if (request.headers().content_length() > most_body) {
            reply(request, {Response{413, "text/plain", "the body is too large", {}}, {}});
            return;
        }
        http::http_request kept = request;
        kept.extract_vector().then(
            [this, kept](const pplx::task<std::vector<unsigned char>>& body) {
                try {
                    const std::vector<unsigned char>& bytes = body.get();
                    Request parsed = to_request(kept);
                    parsed.body.assign(bytes.begin(), bytes.end());
                    reply(kept, handler_(parsed));
                } catch (const std::exception&) {
                    // The client went away while it was sending: nobody is there to be told.
                }
            });
    }

    static void reply(const http::http_request& request, const HttpAnswer& answer) {
        http::http_response response(static_cast<http::status_code>(answer.response.code));
        for (const std::string& warning : answer.response.warnings) {
            response.headers().add("Warning", fmt::format("299 - \"{}\"", escaped(warning)));
        }
        response.headers().add("Cache-Control", "no-cache, private");
        std::shared_ptr<Stream> stream;
        if (answer.streams) {
            stream = std::make_shared<Stream>();
            response.set_body(stream->body(), answer.response.content_type);
        } else {
            response.set_body(answer.response.body, answer.response.content_type);
        }
        request.reply(response).then([stream](const pplx::task<void>& sent) {
            try {
                sent.get();
            } catch (const std::exception&) {
                // The client is gone; its stream ends below.
            }
            if (stream) {
                stream->end();
            }
        });
        if (stream) {
            answer.streams(stream);
        }
    }

    static std::string escaped(const std::string& text) {
        std::string out;
        for (const char c : text) {
            out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        }
        return out;
    }

    Listener listener_;
    const Handler handler_;
};

void few_threads() {
    static const bool done = [] {
        try {
            crossplat::threadpool::initialize_with_threads(4);
        } catch (const std::exception&) {
            // Somebody else in this program has chosen already.
        }
        return true;
    }();
    (void)done;
}

}  // namespace

Result<std::unique_ptr<HttpDoor>> HttpDoor::open(std::uint16_t port,
                                                 const std::filesystem::path& certificate,
                                                 const std::filesystem::path& key,
                                                 Handler handler) {
    few_threads();
    try {
        http::experimental::listener::http_listener_config config;
        config.set_ssl_context_callback([certificate, key](boost::asio::ssl::context& context) {
            context.set_options(
                boost::asio::ssl::context::default_workarounds |
                boost::asio::ssl::context::no_sslv2 | boost::asio::ssl::context::no_sslv3 |
                boost::asio::ssl::context::no_tlsv1 | boost::asio::ssl::context::no_tlsv1_1);
            context.use_certificate_chain_file(certificate.string());
            context.use_private_key_file(key.string(), boost::asio::ssl::context::pem);
        });
        auto door = std::make_unique<CpprestDoor>(
            Listener(fmt::format("https://127.0.0.1:{}/", port), config), std::move(handler));
        door->open();
        return std::unique_ptr<HttpDoor>(std::move(door));
    } catch (const std::exception& exception) {
        return Error::make(Code::io, "127.0.0.1:{}: {}", port, exception.what());
    }
}

}  // namespace millrace::local
