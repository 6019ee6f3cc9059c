#!/usr/bin/env python3
"""Reads the programs of a release build for what cmake/flags.cmake asks of the compiler and the linker: check_hardening.py PROGRAM...

Each must be position independent, with its relocations resolved at the start and read-only from then on, no memory that can be written and
executed, no path of its own to libraries, guarded stacks, checked library calls, the standard library's own assertions, and marked targets
for indirect branches.
"""
import mmap
import pathlib
import struct
import sys

ET_DYN, PT_LOAD, PT_DYNAMIC = 3, 1, 2
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
EXECUTE, WRITE = 1, 2
DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_RPATH, DT_TEXTREL, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = 5, 6, 10, 15, 22, 29, 30, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
ENDBR64, FEWEST_BRANCH_TARGETS = b"\xf3\x0f\x1e\xfa", 1000


UNCHECKED = "calls the C library unchecked"


class Program:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self.bytes[:6] != b"\x7fELF\x02\x01":
            raise SystemExit(f"{path}: no 64-bit little-endian program")
        self.type, self.machine = struct.unpack_from("<HH", self.bytes, 16)
        (at,) = struct.unpack_from("<Q", self.bytes, 32)
        size, count = struct.unpack_from("<HH", self.bytes, 54)
        # type, flags, offset, address, physical address, size in the file, size in memory, alignment
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.bytes, at + i * size) for i in range(count)]
        self.dynamic = {}
        for segment in self.of_type(PT_DYNAMIC):
            for at in range(segment[2], segment[2] + segment[5], 16):
                tag, value = struct.unpack_from("<QQ", self.bytes, at)
                self.dynamic[tag] = value

    def of_type(self, kind):
        return [segment for segment in self.segments if segment[0] == kind]

    def imports(self):
        """Every name in the table of dynamic strings: of symbols, and of libraries."""
        if DT_STRTAB not in self.dynamic:
            return set()
        address = self.dynamic[DT_STRTAB]
        for _, _, offset, begin, _, size, _, _ in self.of_type(PT_LOAD):
            if begin <= address < begin + size:
                at = offset + address - begin
                return set(self.bytes[at : at + self.dynamic[DT_STRSZ]].decode(errors="replace").split("\0"))
        return set()

    def branch_targets(self):
        count = 0
        for _, flags, offset, _, _, size, _, _ in self.of_type(PT_LOAD):
            if flags & EXECUTE:
                count += self.bytes[offset : offset + size].count(ENDBR64)
        return count


def faults(program):
    flags, flags_1 = program.dynamic.get(DT_FLAGS, 0), program.dynamic.get(DT_FLAGS_1, 0)
    names = program.imports()
    stack = program.of_type(PT_GNU_STACK)
    x86 = program.machine == 62
    checks = {
        "is not position independent": program.type == ET_DYN and flags_1 & DF_1_PIE,
        "resolves relocations as it goes, not at the start": flags & DF_BIND_NOW or flags_1 & DF_1_NOW,
        "leaves its relocations writable": program.of_type(PT_GNU_RELRO),
        "has a stack that can be executed": stack and not stack[0][1] & EXECUTE,
        "has memory that can be written and executed": not any(
            segment[1] & WRITE and segment[1] & EXECUTE for segment in program.of_type(PT_LOAD)
        ),
        "relocates its code": DT_TEXTREL not in program.dynamic and not flags & DF_TEXTREL,
        "brings a path to libraries along": not {DT_RPATH, DT_RUNPATH} & set(program.dynamic),
        "does not guard its stack": "__stack_chk_fail" in names,
        UNCHECKED: any(name.endswith("_chk") for name in names),
        "was compiled without the standard library's assertions": any("__glibcxx_assert_fail" in name for name in names),
        "does not mark the targets of indirect branches": not x86 or program.branch_targets() >= FEWEST_BRANCH_TARGETS,
    }
    return [fault for fault, holds in checks.items() if not holds]


def main():
    wrong = 0
    every = {path: faults(Program(path)) for path in sys.argv[1:]}
    # A small program may have no call that can be checked. The flags are the same for all: another one shows them.
    shown = any(UNCHECKED not in found for found in every.values())
    for path, found in every.items():
        found = [fault for fault in found if not (shown and fault == UNCHECKED)]
        for fault in found:
            print(f"{pathlib.Path(path).name} {fault}")
        wrong += len(found)
    if wrong == 0:
        print(f"{len(sys.argv) - 1} programs are hardened as cmake/flags.cmake asks")
    return 1 if wrong or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
