#!/usr/bin/env python3
"""check_symbols.py on an object full of offences, none of them spelled as lint_seams would know it, and on one that is none: COMPILER."""
import pathlib
import re
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).resolve().parent / "check_symbols.py"

# What is called, the rule that must name it, and as which symbol.
OFFENCES = [
    ("thread t([] {}); t.join()", "thread", "std::thread::join()"),
    ("promise<int> p; p.get_future().get()", "thread", "std::__future_base::_Result_base::_Result_base()"),
    ("condition_variable c; c.notify_all()", "thread", "std::condition_variable::notify_all()"),
    ("open(path, flags)", "file", "open"),
    ("read(n, into, 1)", "file", "read"),
    ("close(n)", "file", "close"),
    ("unlink(path)", "file", "unlink"),
    ("std::rename(path, path)", "file", "rename"),
    ("ofstream out(path)", "file", "std::basic_(?:ofstream|filebuf)<"),
    ("std::filesystem::remove(path)", "file", "std::filesystem::remove("),
    ("socket(n, n, n)", "socket", "socket"),
    ("connect(n, nullptr, 0)", "socket", "connect"),
    ("sleep(n)", "sleep", "sleep"),
    ("this_thread::sleep_for(chrono::seconds(n))", "sleep", "nanosleep"),
    ("poll(nullptr, 0, n)", "sleep", "poll"),
    ("select(n, nullptr, nullptr, nullptr, nullptr)", "sleep", "select"),
    ("fork()", "process", "fork"),
    ("kill(n, n)", "process", "kill"),
    ("n = system(path)", "process", "system"),
    ("syscall(n)", "process", "syscall"),
    ("path = getenv(path)", "environment", "getenv"),
    ("n = chrono::steady_clock::now().time_since_epoch().count()", "clock", "std::chrono::_V2::steady_clock::now()"),
    ("using when = chrono::system_clock; n = when::now().time_since_epoch().count()", "clock", "std::chrono::_V2::system_clock::now()"),
    ("n = time(nullptr)", "clock", "time"),
    ("auto of_the_day = &gettimeofday; n = of_the_day(nullptr, nullptr)", "clock", "gettimeofday"),
    ("n = rand()", "random", "rand"),
    ("random_device d; n = d()", "random", "std::random_device::_M_getval()"),
    ("cout << n", "console", "std::cout"),
    ("printf(path, n)", "console", "printf"),
    ("n = sethostname(path, 1)", "system", "sethostname"),
]
HARMLESS = """
struct Disk { int open(const char*, int); int read(int); void close(int); };
int clock(Disk& disk, std::string& text, std::chrono::nanoseconds left) {
    std::sort(text.begin(), text.end());
    std::mutex mutex;
    std::lock_guard lock(mutex);
    const std::filesystem::path path(text);
    const auto file = disk.open(path.c_str(), std::snprintf(text.data(), text.size(), "%ld", left.count()));
    disk.close(disk.read(file));
    return std::atoi(text.c_str());
}
"""
HEADERS = """
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <mutex>
#include <poll.h>
#include <random>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
"""


def faults(compiler, text, folder, *flags):
    source, archive = folder / "planted.cc", folder / "libplanted.a"
    source.write_text(HEADERS + text)
    subprocess.run([compiler, "-std=c++20", "-w", *flags, "-c", source, "-o", folder / "planted.o"], check=True)
    archive.unlink(missing_ok=True)
    subprocess.run(["ar", "rc", archive, folder / "planted.o"], check=True)
    result = subprocess.run([sys.executable, CHECK, "--archive", "planted", archive], capture_output=True, text=True)
    found = [line for line in result.stdout.splitlines() if line.startswith("planted: ")]
    assert result.returncode == (1 if found else 0), result
    return found


wrong = []
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    planted = "using namespace std;\n" + "\n".join(
        f"void offence{i}(const char* path, int flags, int n, char* into) {{ {call}; into[0] = static_cast<char>(n); }}"
        for i, (call, _, _) in enumerate(OFFENCES))
    for flags in (("-O0",), ("-O2", "-D_FORTIFY_SOURCE=3")):
        found = faults(sys.argv[1], planted, folder, *flags)
        for call, rule, symbol in OFFENCES:
            # A name of the C library, which its checked calls vary, or how that of a C++ function begins.
            name = rf"(?:{symbol}|__{symbol}_chk|__{symbol}_2) in" if re.fullmatch(r"\w+", symbol) else (
                symbol if "?:" in symbol else re.escape(symbol))
            if not any(re.match(f"planted: {rule}: {name}", line) for line in found):
                wrong.append(f"{' '.join(flags)}: {call}: nothing says {rule}: {symbol}")
        wrong += [f"{' '.join(flags)}: harmless, and called an offence: {line}" for line in faults(sys.argv[1], HARMLESS, folder, *flags)]
print("\n".join(wrong) or f"{len(OFFENCES)} planted offences are found, and nothing else")
sys.exit(1 if wrong else 0)
