#!/usr/bin/env python3
"""Each rule of lint_seams on a file that breaks it and on one that only looks like it."""
import pathlib
import subprocess
import sys
import tempfile

LINT = pathlib.Path(__file__).resolve().parent / "lint_seams"

# Path below broker/, text, the rules that must be named.
CASES = [
    ("x/a.cc", "auto t = std::chrono::steady_clock::now();", {"clock"}),
    ("x/a.cc", "auto t = std::time(nullptr);", {"clock"}),
    ("x/a.cc", "auto t = std::chrono::utc_clock::now();", {"clock"}),
    ("x/a.cc", "auto t = time(nullptr);", {"clock"}),
    ("x/a.cc", "auto t = clock() / CLOCKS_PER_SEC;", {"clock"}),
    ("x/a.cc", "auto t = node.clock() - begin; const Clock& clock() const { return c; }", set()),
    ("x/a.cc", "sleep(1);", {"sleep"}),
    ("x/a.cc", "auto f = std::promise<int>();", {"thread"}),
    ("x/a.cc", "namespace fs = std::filesystem;", {"file"}),
    ("x/a.cc", "int fd = open(path, O_RDONLY);", {"file"}),
    ("x/a.cc", "fsync(fd);", {"file"}),
    ("x/a.cc", "file->fsync(fd); rename(from, to);", set()),
    ("x/a.cc", "auto t = clock.wall(); last_time(3); // steady_clock", set()),
    ("x/a.cc", 'log("std::thread, system_clock, ::open(");', set()),
    ("x/a.cc", "std::this_thread::sleep_for(1s);", {"sleep"}),
    ("x/a.cc", "std::thread worker([] {});", {"thread"}),
    ("x/a.cc", "std::ofstream out(path);", {"file"}),
    ("x/a.cc", "int fd = ::open(path, O_RDONLY);", {"file"}),
    ("x/a.cc", "auto file = File::open(path); disk_.remove(path);", set()),
    ("x/a.cc", "std::filesystem::path path;", set()),
    ("x/a.cc", "#include <sys/socket.h>", {"socket"}),
    ("x/a.cc", "net->connect(to, limit, done);", set()),
    ("x/a.cc", "auto n = ::getaddrinfo(h, p, &hints, &found);", {"socket"}),
    ("x/a.cc", "std::mt19937_64 random(std::random_device{}());", {"random"}),
    ("x/a.cc", "int n = rand();", {"random"}),
    ("x/a.cc", "auto n = random.next();", set()),
    ("x/a.cc", "std::unordered_map<Member*, int> m;", {"pointer_order"}),
    ("x/a.cc", "std::set<const Member*> m;", {"pointer_order"}),
    ("x/a.cc", "std::map<int, Member*> m;", set()),
    ("x/a.cc", "std::mutex mutex_;", set()),
    ("runtime/real/a.cc", "std::thread t; auto n = std::chrono::steady_clock::now();", set()),
    ("x/isr_core.cc", "std::mutex mutex_;", {"lock"}),
    ("x/isr_core.cc", '#include "runtime/executor.h"', {"seam_in_core"}),
    ("x/isr_core.cc", "explicit Core(const Clock& clock);", {"seam_in_core"}),
    ("x/isr_core.cc", 'MR_LOG(log_, info, "x");', {"seam_in_core"}),
    ("x/move_planner.h", "std::unordered_map<int, int> all_;\nint f() {\n    for (auto& [a, b] : all_) {}\n}",
     {"unordered_loop"}),
    ("x/move_planner.h",
     "std::unordered_map<int, int> all_;\nint f() {\n    // unordered: only the sum is used.\n"
     "    for (auto& [a, b] : all_) {}\n}", set()),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvoid f() {\n    for (auto& [a, b] : all_) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nauto n = std::accumulate(all_.begin(), all_.end(), 0);", {"unordered_loop"}),
    ("x/a.h", "std::unordered_set<int> all_;\nstd::ranges::copy(all_, out);", {"unordered_loop"}),
    ("x/a.h", "using All = std::unordered_map<int, int>;\nAll all_;\nvoid f() {\n    for (auto& [a, b] : all_) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nbool f() { return all_.find(1) != all_.end(); }", set()),
    ("x/a.h", "std::unordered_map<int, int> all_;\nauto i = begin(all_);", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvector<pair> v(std::begin(a.all_), end(a.all_));", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvoid f() {\n    for (auto& [a, b] : std::as_const(all_)) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvoid f() {\n    for (auto v : all_ | std::views::values) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvoid f() {\n    for (auto v : std::views::values(all_)) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvoid f() {\n    for (int n = g(0); auto& [a, b] : all_) {}\n}", {"unordered_loop"}),
    ("x/a.h", "using namespace std;\nunordered_map<int, int> all_;\nvoid f() {\n    for (auto& [a, b] : all_) {}\n}", {"unordered_loop"}),
    ("x/a.h", "absl::flat_hash_map<int, int> all_;\nvoid f() {\n    for (auto& [a, b] : all_) {}\n}", {"unordered_loop"}),
    ("x/a.h", "using A = std::unordered_set<int>;\nusing B = A;\nB all_;\nvoid f() {\n    for (int a : all_) {}\n}", {"unordered_loop"}),
    ("x/a.h", "typedef std::unordered_set<int> All;\nvoid f(const All& all) {\n    for (int a : all) {}\n}", {"unordered_loop"}),
    ("x/a.h", "const std::unordered_set<int>& all() const;\nvoid f() {\n    for (int a : x.all()) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_set<int> all_;\nvoid f() {\n    const auto& all = x.all_;\n    for (int a : all) {}\n}", {"unordered_loop"}),
    ("x/a.h", "auto all = std::unordered_set<int>{};\nvoid f() {\n    for (int a : all) {}\n}", {"unordered_loop"}),
    ("x/a.h", "std::unordered_map<int, std::vector<int>> all_;\nvoid f() {\n    for (int a : all_.at(1).rows) {}\n}", set()),
    ("x/a.h", "std::unordered_map<int, int> all_;\nvoid f() {\n    for (int i = 0; i < n ? all_.size() : 0; ++i) {}\n}", set()),
    ("x/a.cc", "auto n = __rdtsc();", {"instruction"}),
    ("x/a.cc", 'asm volatile("syscall");', {"instruction"}),
    ("x/a.cc", "if (!ok) throw std::runtime_error(text);", {"throw"}),
    ("x/isr_core.cc", "using namespace std;\nmutex m;", {"lock"}),
    ("x/isr_core.cc", "std::scoped_lock lock(m);", {"lock"}),
    ("x/isr_core.cc", "std::once_flag once;", {"lock"}),
    ("x/isr_core.cc", "std::atomic_int n;", {"lock"}),
    ("x/isr_core.cc", "std::atomic_ref n(m);", {"lock"}),
    ("x/isr_core.cc", "absl::Mutex m;", {"lock"}),
    ("x/isr_core.cc", "__atomic_fetch_add(&n, 1, 0);", {"lock"}),
    ("x/isr_core.cc", "bool atomic = true; bool is_locked = locked_by(2); Block block;", set()),
    ("x/isr_core.cc", "#include <unistd.h>", {"seam_in_core"}),
    ("x/isr_core.cc", "#include <mutex>", {"lock", "seam_in_core"}),
    ("x/isr_core.cc", "#include <sys/epoll.h>", {"seam_in_core", "socket"}),
    ("x/isr_core.cc", "#include <chrono>\n#include <map>", set()),
    ("x/move_planner.h", "std::map<int, int> all_;\nint f() {\n    for (auto& [a, b] : all_) {}\n}", set()),
]

# What the files of the cases may include.
HEADERS = {"all.h": "using All = std::unordered_set<int>;\nstruct Inside { std::unordered_map<int, int> partitions; };\n"}
CASES += [
    ("x/a.cc", '#include "all.h"\nvoid f() {\n    for (auto& [a, b] : inside_->partitions) {}\n}', {"unordered_loop"}),
    ("x/a.cc", '#include "all.h"\nvoid f(const All& some) {\n    for (int a : some) {}\n}', {"unordered_loop"}),
]


def rules_named(path, text):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "broker", path)
        file.parent.mkdir(parents=True)
        file.write_text(text + "\n")
        for name, contents in HEADERS.items():
            (file.parents[1] / name).write_text(contents)
        result = subprocess.run([sys.executable, LINT, folder], capture_output=True, text=True)
        found = {line.split(": ")[1] for line in result.stdout.splitlines()}
        assert result.returncode == (1 if found else 0), result
        return found


failed = 0
for path, text, expected in CASES:
    found = rules_named(path, text)
    if found != expected:
        print(f"{path}: {text!r}: expected {expected or 'nothing'}, found {found or 'nothing'}")
        failed += 1
sys.exit(1 if failed else 0)
