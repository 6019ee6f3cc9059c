"""A memory container (control groups of version 1 or 2, whichever takes us) for what is measured.

Without one the page cache of both brokers grows into memory that a virtual machine's host has yet to find: the first touch of
such a page costs several times what writing to it does, both sides pay it alike, and no ratio says anything any more. In a
container, where users run brokers, its own pages come round again.
"""
import os
import pathlib
import sys
import time


class Container:
    def __init__(self, name, size):
        self.folder = None
        for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            folder = pathlib.Path(root, f"millrace-{name}-{os.getpid()}")
            try:
                folder.mkdir()
            except OSError:
                continue
            try:
                (folder / limit).write_text(str(size))
                self.folder = folder
                return
            except OSError:
                folder.rmdir()
        print(f"no container can be made here: {name} is measured without", file=sys.stderr)

    def take(self, *pids):
        for pid in pids:
            if self.folder:
                (self.folder / "cgroup.procs").write_text(str(pid))

    def remove(self):
        """Once everybody in it has ended."""
        for _ in range(100):
            try:
                if self.folder:
                    self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.05)
        print(f"{self.folder} stays behind", file=sys.stderr)
