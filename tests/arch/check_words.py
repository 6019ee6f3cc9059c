#!/usr/bin/env python3
"""Holds what the pages say against what is there: check_words.py [ROOT]

Every link and every file that a page names must exist, and so must every page that a comment names. Every `make TARGET` must be a target with a line
in `make help`, and every room have a README.md of about a page that says what it promises, on which threads, what happens on failure, and where to
start reading.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w.*{},-]+(?:/[\w.*{},-]+)*\.(?:h|cc|py|sh|def|md|yaml|yml|proto|txt|cmake|java|inc|tla|json|tsv)")
TOP = {"broker", "operator", "tests", "e2e", "docs", "deploy", "tools", "cmake", "helm", "crds"}
# What a room's page has to say, and words that say it.
SAYS = {"what it promises": "promise", "its threads": "thread", "what failure does": "fail", "where to start": "start"}
FEWEST_LINES, MOST_LINES = 8, 80


def braces(pattern):
    """a.{h,cc} is a.h and a.cc."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    return [one for part in found[1].split(",") for one in braces(pattern[: found.start()] + part + pattern[found.end() :])]


def tracked():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True).stdout.split()
    return listed or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and path.relative_to(ROOT).parts[0] != "build"]


def exists(name, page, names):
    if "/" not in name and name in names:
        return True
    if pathlib.PurePath(name).name in names["generated"]:
        return True
    bases = [page.parent, ROOT, ROOT / "broker", ROOT / "operator", page.parent / "internal"]
    return any(any(base.glob(name)) if "*" in name else (base / name).exists() for base in bases)


def named_files(text):
    """What stands between backticks and is a file of this repository, by its look."""
    for code in CODE.findall(text):
        for word in code.split():
            word = word.strip("`,;:()'\"")
            if word.startswith(("/", "~", "$", "-", "http", "build/", "kafka-")) or "$" in word or "<" in word or ".." in word:
                continue
            if FILE.fullmatch(word) or (word.split("/")[0] in TOP and re.fullmatch(r"[\w.*{},-]+(?:/[\w.*{},-]+)+/?", word)):
                yield word


def targets():
    lines = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", lines, re.M))


def faults_of(page, known, names):
    text = page.read_text()
    inside = re.sub(r"(?s)```.*?```", "", text)
    for link in LINK.findall(inside):
        if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists():
            yield f"links to {link}, which is not there"
    for word in sorted(set(named_files(inside))):
        if not any(exists(one.rstrip("/"), page, names) for one in braces(word)):
            yield f"names {word}, which is not there"
    code = "\n".join([*CODE.findall(text), *re.findall(r"(?s)```.*?```", text), *re.findall(r"(?m)^    .*$", text)])
    for line in code.splitlines():
        for target in re.findall(r"^\s*make ([a-z][a-z0-9-]*)(?=\s|$)", line):
            if target not in known:
                yield f"says make {target}, which `make help` does not list"


def source_faults(source, names):
    """Pages that comments send a reader to."""
    for number, line in enumerate((ROOT / source).read_text(errors="replace").splitlines(), 1):
        comment = re.search(r"(?://|(?:^|\s)#)\s(.*)", line)
        for page in re.findall(r"(?<![\w/*$])([\w./-]*[a-z][\w-]*\.md)\b", comment[1] if comment else ""):
            if pathlib.PurePath(page).name not in names:
                yield f"{source}:{number} sends its reader to {page}, which is not there"


def room_faults(folder):
    page = folder / "README.md"
    if not page.exists():
        yield "has no README.md"
        return
    text = page.read_text()
    lines = len(text.splitlines())
    if not FEWEST_LINES <= lines <= MOST_LINES:
        yield f"has a README.md of {lines} lines, not {FEWEST_LINES} to {MOST_LINES}"
    for what, word in SAYS.items():
        if word not in text.lower():
            yield f"has a README.md that does not say {what}"


def main():
    files = tracked()
    pages = [ROOT / name for name in files if name.endswith(".md")]
    names = {pathlib.PurePath(name).name: name for name in files}
    # A header that the build writes for each message.
    names["generated"] = {pathlib.PurePath(name).stem + ".h" for name in files if name.startswith("broker/protocol/schemas/")}
    wrong, known = [], targets()
    for page in pages:
        if page.name in ("LEDGER.md", "CHANGELOG.md"):  # They tell of what was.
            continue
        wrong += [f"{page.relative_to(ROOT)} {fault}" for fault in faults_of(page, known, names)]
    for source in files:
        if source.endswith((".h", ".cc", ".py", ".sh", ".cmake", ".def", ".inc", "CMakeLists.txt", "Makefile")):
            wrong += source_faults(source, names)
    rooms = sorted(path.parent for part in ("broker", "operator") for path in (ROOT / part).glob("*/CMakeLists.txt"))
    for room in rooms:
        wrong += [f"{room.relative_to(ROOT)} {fault}" for fault in room_faults(room)]
    print("\n".join(wrong) or f"{len(pages)} pages and {len(rooms)} rooms: what they name is there")
    return 1 if wrong or len(pages) < 20 or len(rooms) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
