// Stands in for the broker in tests of local mode: says what it was started with, answers GET
// /ready on PROBE_ADDRESS:PROBE_PORT, ends politely at SIGTERM, and with EXIT_CODE at once if set.
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace {

void leave(int) {
    constexpr char text[] = "stopped politely\n";
    (void)!::write(1, text, sizeof(text) - 1);
    ::_exit(0);
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

int serve(const std::string& address, int port) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    const int yes = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in self{};
    self.sin_family = AF_INET;
    self.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &self.sin_addr);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&self), sizeof(self)) != 0 ||
        ::listen(listener, 16) != 0) {
        std::perror("listen");
        return 1;
    }
    while (true) {
        const int client = ::accept(listener, nullptr, nullptr);
        constexpr char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        (void)!::write(client, answer, sizeof(answer) - 1);
        ::close(client);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    ::signal(SIGTERM, leave);
    for (int i = 1; i < argc; ++i) {
        std::printf("argument %s\n", argv[i]);
        std::ifstream file(argv[i]);
        for (std::string line; std::getline(file, line);) {
            std::printf("file %s\n", line.c_str());
        }
    }
    std::printf("zone %s\n", variable("ZONE").c_str());
    if (const std::string code = variable("EXIT_CODE"); !code.empty()) {
        std::printf("refusing to start\n");
        return std::atoi(code.c_str());
    }
    return serve(variable("PROBE_ADDRESS"), std::atoi(variable("PROBE_PORT").c_str()));
}
