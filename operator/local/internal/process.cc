#include "operator/local/internal/process.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace millrace::local {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts) {
        result.push_back(text.data());
    }
    result.push_back(nullptr);
    return result;
}

/// After fork() in a program with threads only system calls are safe: all is prepared before.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment,
                         const char* directory, int log, int null, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
        ::_exit(127);  // The parent ended before the line above.
    }
    ::setpgid(0, 0);  // A Ctrl-C at the terminal is the operator's to hand on, in order.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    if (::dup2(null, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0 ||
        ::chdir(directory) != 0) {
        ::_exit(127);
    }
    ::syscall(SYS_close_range, 3U, ~0U, 0U);
    ::execve(program, arguments, environment);
    const char* why = std::strerror(errno);
    (void)!::write(2, why, std::strlen(why));
    ::_exit(127);
}

}  // namespace

Result<Process> start_process(const ProcessStart& start) {
    std::vector<std::string> arguments = {start.program.string()};
    arguments.insert(arguments.end(), start.arguments.begin(), start.arguments.end());
    std::vector<std::string> environment;
    for (const auto& [name, value] : start.environment) {
        environment.push_back(name + "=" + value);
    }
    const std::vector<char*> argument_pointers = pointers(arguments);
    const std::vector<char*> environment_pointers = pointers(environment);
    const int log = ::open(start.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0) {
        return Error::make(Code::io, "{}: {}", start.log.string(), std::strerror(errno));
    }
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
        become(start.program.c_str(), argument_pointers.data(), environment_pointers.data(),
               start.directory.c_str(), log, null, parent);
    }
    const int failure = errno;
    ::close(log);
    ::close(null);
    if (child < 0) {
        return Error::make(Code::exhausted, "fork: {}", std::strerror(failure));
    }
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0U));
    return Process{child, pidfd};
}

std::optional<ProcessEnd> reap(Process& process) {
    int status = 0;
    if (process.pid < 0 || ::waitpid(process.pid, &status, WNOHANG) != process.pid) {
        return std::nullopt;
    }
    if (process.pidfd >= 0) {
        ::close(process.pidfd);
    }
    process = {};
    if (WIFSIGNALED(status)) {
        return ProcessEnd{128 + WTERMSIG(status), WTERMSIG(status)};
    }
    return ProcessEnd{WEXITSTATUS(status), 0};
}

}  // namespace millrace::local
