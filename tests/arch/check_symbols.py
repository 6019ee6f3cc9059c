#!/usr/bin/env python3
"""Holds what the rooms' objects ask of the system against the seams: check_symbols.py BUILD_DIR | --archive NAME FILE

However a call is spelled, and whatever header brought it in, its name stands in the object as an undefined symbol. All that the C library
offers is an offence but for what is listed here as harmless; of C++ libraries, what reaches clocks, threads, files, chance or the console.
Which room may do what, and why, is written in symbols_allowed.txt beside this script; a line there that allows nothing any more is an
offence too. broker/runtime is the seam. Locks are the business of lint_seams: a shell may hold one, a core may not.
"""
import ctypes
import pathlib
import re
import subprocess
import sys

SEAM = "runtime"
# Of the C library: they compute, or fill memory that the caller owns. A checked one of these is called __NAME_chk.
HARMLESS = re.compile(
    r"mem\w+|bcmp|bzero|str(?!ftime)\w+|wcs\w+|wmem\w+|v?sn?printf|v?sscanf|(?:__isoc\d+_)v?sscanf|__isoc23_\w+|ato[if]|atoll?|l?l?abs|qsort|bsearch|"
    r"is[a-z]+|to(?:upper|lower)|__ctype_\w+|malloc|calloc|realloc|free|aligned_alloc|posix_memalign|abort|__errno_location|__assert_fail|"
    r"__stack_chk_\w+|__cxa_(?:atexit|finalize|thread_atexit_impl)|__tls_get_addr|__libc_single_threaded|inet_[np]to[np]|hton[ls]|ntoh[ls]|timegm|"
    r"gmtime_r|gai_strerror|freeaddrinfo|sig\w+set|sigismember|__sched_cpu\w+|dl_iterate_phdr|_dl_\w+|__gmon_start__|"
    r"pthread_(?:mutex|rwlock)_\w+|pthread_once|pthread_self|__register_atfork|pthread_key_create|__pthread_key_create|pthread_[gs]etspecific"
)
# What the rest is called; a name that is in none of them is "system".
C_RULES = {
    "clock": r"clock|clock_get\w+|time|times|timespec_get|gettimeofday|getrusage|localtime(?:_r)?|gmtime|ctime(?:_r)?|mktime|strftime|timerfd_\w+|timer_\w+|"
             r"[gs]etitimer|alarm|getcpu",
    "sleep": r"u?sleep|nanosleep|clock_nanosleep|pause|sched_yield|p?poll|p?select|sigwait\w*|sigtimedwait|sigsuspend|pthread_cond_\w*wait\w*|sem_\w*wait",
    "thread": r"pthread_\w+|thrd_\w+|mtx_\w+|cnd_\w+|sem_\w+|sched_\w+",
    "file": r"open(?:at)?|creat|close|close_range|closefrom|read(?:v|ahead|link|linkat)?|write(?:v)?|p(?:read|write)v?2?|f(?:data)?sync|sync\w*|f?truncate|"
            r"(?:posix_)?f(?:allocate|advise)|flock|lockf|fcntl|rename(?:at2?)?|unlink(?:at)?|remove|mkdir(?:at)?|rmdir|[fl]?stat(?:at|x|vfs|fs)?|"
            r"f?statv?fs|fstatat|__[fl]?xstat|access|faccessat|e?access|mmap|munmap|mremap|msync|madvise|mlock\w*|mk(?:os|d)?temps?|mkost?emps?|tmp(?:file|nam)|"
            r"(?:sym)?link(?:at)?|f?chmod(?:at)?|[fl]?chown(?:at)?|f?utimens?|utimensat|utimes?|sendfile|splice|tee|copy_file_range|dup[23]?|pipe2?|memfd_create|"
            r"inotify_\w+|f(?:d)?open(?:dir|cookie)?|freopen|fclose|fread|fget[cs]|fscanf|fseeko?|ftello?|getline|(?:open|read|close|rewind|scan)dir|realpath|"
            r"get(?:cwd)|f?chdir|nftw|ftw|glob",
    "socket": r"socket(?:pair)?|connect|accept4?|bind|listen|shutdown|recv\w*|send(?:to|msg|mmsg)?|[gs]etsockopt|getsockname|getpeername|getaddrinfo|"
              r"getnameinfo|gethostby\w+|res_\w+|epoll_\w+|eventfd\w*|if_\w+|getifaddrs|freeifaddrs",
    "process": r"v?fork|_Fork|exec\w+|kill|killpg|raise|tgkill|wait|wait[34]|waitid|waitpid|posix_spawn\w*|signal|sigaction|sigprocmask|sigaltstack|signalfd|"
               r"system|popen|pclose|prctl|ptrace|syscall|_?exit|_Exit|quick_exit|at_?exit|dlopen|dlsym|dlclose|dlerror|get[pt]id|getppid|[gs]etrlimit|prlimit|ioctl|"
               r"set(?:res|re|e)?[ug]id|get(?:e)?[ug]id|getpw\w+|getgr\w+|umask|setsid|setpgid|getpgid|getsid|daemon|nice|[gs]etpriority|sysconf|uname|gethostname|"
               r"sysinfo|getauxval|backtrace\w*",
    "random": r"s?rand(?:om)?(?:_r)?|[dlmejn]rand48|srand48|getrandom|getentropy|arc4random\w*",
    "environment": r"(?:secure_)?getenv|(?:un)?setenv|putenv|clearenv|environ|setlocale|newlocale|uselocale|tzset",
    "console": r"v?f?printf|v?dprintf|putc|puts|putchar|f?put[cs]|fwrite|fflush|perror|scanf|getc|getchar|gets|stdin|stdout|stderr|setv?buf|v?syslog|openlog|err|warnx?",
}
CXX_RULES = {
    "clock": r"std::chrono::(?:_V2::)?\w+_clock::(?:now|to_time_t)\b|std::filesystem::_\w*clock|absl::(?:\w+::)?(?:Now|GetCurrentTimeNanos)\(|gpr_now$|std::get_tzdb|"
             r"grpc::.*\bgpr_now",
    "sleep": r"std::this_thread::|AbslInternalSleepFor\w*|absl::(?:\w+::)?SleepFor\(|gpr_sleep_until$|std::__atomic_\w*wait",
    "thread": r"std::(?:thread|jthread)::|std::condition_variable|std::(?:__future_base|future_|promise|packaged_task)|std::__throw_future|std::__at_thread_exit|"
              r"std::__once_call|__once_proxy|absl::(?:\w+::)?(?:Mutex|CondVar|Notification|Barrier|BlockingCounter|synchronization_internal)\b|std::_Sp_locker|gpr_\w*(?:mu|cv|thd)_\w+",
    "file": r"std::(?:__\w+::)?basic_(?:filebuf|[io]?fstream)\b|std::filesystem::(?!(?:__cxx11::)?path::)|BIO_(?:new_|s_)(?:file|fp|fd)$|"
            r"SSL_CTX_(?:use_\w+_file|load_verify\w*|set_default_verify\w*)$|X509_(?:STORE_(?:load_\w+|set_default_paths)|load_\w+file|LOOKUP_(?:file|hash_dir))$",
    "socket": r"BIO_(?:new_|s_)(?:socket|connect|accept|dgram)$|SSL_set_[rw]?fd$",
    "random": r"std::random_device::|RAND_\w+$|absl::(?:\w+::)?(?:BitGen|random_internal|InsecureBitGen)",
    "console": r"std::w?(?:cout|cerr|clog|cin)\b|std::(?:__)?v?print|fmt::v\d+::v?print\b|fmt::v\d+::(?:detail::)?(?:vprint|print)\b",
    "unordered": r"absl::(?:\w+::)?(?:container_internal|hash_internal)::",
}
C_RULES = {rule: re.compile(pattern) for rule, pattern in C_RULES.items()}
CXX_RULES = {rule: re.compile(pattern) for rule, pattern in CXX_RULES.items()}
LIBC = ctypes.CDLL("libc.so.6")


def plain(name):
    """What was called, before large files, checked calls and the like gave it another name."""
    name = name.split("@")[0]
    for pattern in (r"__(\w+)_chk", r"__(open(?:at)?)(?:64)?_2", r"(\w+?)64"):
        match = re.fullmatch(pattern, name)
        if match and hasattr(LIBC, match[1]):
            name = match[1]
    return name


def rule_of(symbol):
    for rule, pattern in CXX_RULES.items():
        if pattern.match(symbol):
            return rule
    name = plain(symbol)
    if not re.fullmatch(r"\w+", name) or not hasattr(LIBC, name) or HARMLESS.fullmatch(name):
        return None
    return next((rule for rule, pattern in C_RULES.items() if pattern.fullmatch(name)), "system")


def undefined(archive):
    """(object, symbol), both ways of naming it: demangled for C++."""
    text = subprocess.run(["nm", "-uC", archive], capture_output=True, text=True, check=True).stdout
    unit = ""
    for line in text.splitlines():
        if line.endswith(":"):
            unit = line[:-1]
        elif match := re.match(r"\s+[Uwv] (.*)$", line):
            yield unit, match[1]


def allowances(file):
    for number, line in enumerate(file.read_text().split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            words = line.split(None, 2)
            if len(words) < 3:
                sys.exit(f"{file}:{number}: wants ROOM RULES REASON")
            yield number, words[0], set(words[1].split(","))


def main():
    if sys.argv[1] == "--archive":
        archives, allowed = {sys.argv[2]: pathlib.Path(sys.argv[3])}, []
    else:
        build = pathlib.Path(sys.argv[1])
        lines = (line.split() for line in (build / "rooms.txt").read_text().splitlines())
        archives = {name: build / folder / f"libroom_{name}.a" for name, folder, *_ in lines}
        allowed_file = pathlib.Path(__file__).resolve().parent / "symbols_allowed.txt"
        allowed = list(allowances(allowed_file))
    faults, used, seen = [], set(), 0
    for room, archive in sorted(archives.items()):
        if room == SEAM:
            continue
        if not archive.exists():
            faults.append(f"{room}: {archive} is not built")
            continue
        for unit, symbol in undefined(archive):
            seen += 1
            rule = rule_of(symbol)
            if rule is None:
                continue
            excuses = [number for number, name, rules in allowed if name == room and rule in rules]
            used.update((number, rule) for number in excuses)
            if not excuses:
                faults.append(f"{room}: {rule}: {symbol} in {unit}")
    for number, room, rules in allowed:
        faults += [f"{allowed_file.name}:{number}: {room} needs no {rule} any more"
                   for rule in sorted(rules - {r for at, r in used if at == number})]
    print("\n".join(faults) if faults else f"{len(archives)} rooms ask for {seen} symbols, none past the seams")
    return 1 if faults else 0


sys.exit(main())
