"""What a chaos test takes away from a broker: the power of its disk, room on it, its network. All of it real, on one
Linux machine, as root: ext4 on loop devices that are shut down without a flush, namespaces on a bridge."""
import fcntl
import os
import struct
import subprocess

_GOING_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


class Disk:
    """A file system of its own for one node. cut_power(): what was not synced is gone, as after a pulled plug."""

    def __init__(self, directory, megabytes=256):
        self.image, self.mount_point, self.life = directory + ".img", directory, 0
        os.makedirs(directory, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.mount_point)

    def cut_power(self):
        """New writes and syncs fail from here on; the process must be killed before repower()."""
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        fcntl.ioctl(descriptor, _GOING_DOWN, struct.pack("I", _NO_LOG_FLUSH))
        os.close(descriptor)

    def repower(self):
        """The same bytes on another device: another mount namespace of this machine may keep the dead one."""
        run("umount", "-l", self.mount_point)
        self.life += 1
        after = f"{self.mount_point}.{self.life}.img"
        run("cp", "--sparse=always", self.image, after)
        os.unlink(self.image)
        self.image = after
        self.mount()

    def fill(self):
        """Takes all the room there is."""
        with open(self.mount_point + "/ballast", "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def make_room(self):
        os.unlink(self.mount_point + "/ballast")

    def close(self):
        run("umount", "-l", self.mount_point, check=False)
        if os.path.exists(self.image):
            os.unlink(self.image)


class Network:
    """A bridge, and a namespace for each node: node n is PREFIX.n, the test itself PREFIX.254."""

    def __init__(self, name, prefix, nodes):
        self.name, self.prefix, self.nodes = name, prefix, nodes
        self.close()
        run("ip", "link", "add", name, "type", "bridge")
        run("ip", "addr", "add", f"{prefix}.254/24", "dev", name)
        run("ip", "link", "set", name, "up")
        for node in nodes:
            space, outside = f"{name}-{node}", f"{name}v{node}"
            run("ip", "netns", "add", space)
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "link", "set", outside, "master", name, "up")
            run("ip", "netns", "exec", space, "ip", "link", "set", "lo", "up")
            run("ip", "netns", "exec", space, "ip", "addr", "add", f"{prefix}.{node}/24", "dev", "eth0")
            run("ip", "netns", "exec", space, "ip", "link", "set", "eth0", "up")

    def place(self, node):
        return f"{self.prefix}.{node}", ["ip", "netns", "exec", f"{self.name}-{node}"]

    def isolate(self, node):
        run("ip", "link", "set", f"{self.name}v{node}", "down")

    def join(self, node):
        run("ip", "link", "set", f"{self.name}v{node}", "up")

    def close(self):
        for node in self.nodes:
            run("ip", "netns", "del", f"{self.name}-{node}", check=False)
            run("ip", "link", "del", f"{self.name}v{node}", check=False)
        run("ip", "link", "del", self.name, check=False)
