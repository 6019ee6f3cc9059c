#!/usr/bin/env python3
"""Packs a tree of Debian's libraries and our programs into an OCI image archive, the same bytes for the same input.

image_pack.py --name NAME:TAG --version V --base DEBIAN.tar --programs DIR --out IMAGE.tar
"""
import argparse
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

LIMIT = 120 << 20  # What a node pulls.
# Programs need shared libraries, a clock's zones and a name for their user. The rest of the packages stays out.
KEEP = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/share/zoneinfo", "etc/ssl", "etc/debian_version", "etc/os-release",
        "usr/share/doc")
DROP = ("usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/systemd", "lib/systemd",
        "usr/lib/tmpfiles.d", "usr/share/zoneinfo/right", "usr/share/zoneinfo/posix")
USER = 10001
FILES = {
    "etc/passwd": f"root:x:0:0:root:/:/nologin\nmillrace:x:{USER}:{USER}:Millrace:/var/lib/millrace:/nologin\n",
    "etc/group": f"root:x:0:\nmillrace:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def inside(name, folders):
    return any(name == folder or name.startswith(folder + "/") for folder in folders)


def copyright_only(name):
    return not name.startswith("usr/share/doc/") or name.endswith("/copyright")


def plain(info, owner=0):
    info.uid = info.gid = owner
    info.uname = info.gname = ""
    info.mtime = 0
    info.pax_headers = {}
    return info


def base_layer(path):
    out = io.BytesIO()
    kept = {}
    with tarfile.open(path) as source, tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as layer:
        for info in source:
            name = info.name.removeprefix("./").rstrip("/")
            if inside(name, KEEP) and not inside(name, DROP) and copyright_only(name) and not info.isdev():
                kept[name] = (info, source.extractfile(info).read() if info.isfile() else None)
        for name in sorted(kept):
            info, data = kept[name]
            info.name = name
            if info.islnk():
                info.linkname = info.linkname.removeprefix("./")
                if info.linkname not in kept:
                    continue
            layer.addfile(plain(info), io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def program_layer(folder):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as layer:
        def add_folder(name, mode=0o755, owner=0):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, mode
            layer.addfile(plain(info, owner))

        add_folder("tmp", 0o1777)
        add_folder("etc")
        add_folder("var")
        add_folder("var/lib")
        add_folder("var/lib/millrace", 0o750, USER)
        for name, text in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o644
            layer.addfile(plain(info), io.BytesIO(text.encode()))
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                info = tarfile.TarInfo(file.relative_to(folder).as_posix())
                info.size, info.mode = file.stat().st_size, 0o755
                with file.open("rb") as data:
                    layer.addfile(plain(info), data)
    return out.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def main():
    args = argparse.ArgumentParser()
    for flag in ("name", "version", "base", "programs", "out"):
        args.add_argument("--" + flag, required=True)
    args = args.parse_args()
    layers = [base_layer(args.base), program_layer(pathlib.Path(args.programs))]
    packed = [gzip.compress(layer, 6, mtime=0) for layer in layers]
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {
            "User": f"{USER}:{USER}", "WorkingDir": "/var/lib/millrace", "StopSignal": "SIGTERM",
            "Entrypoint": ["/usr/bin/millrace-broker"], "Cmd": ["--config", "/etc/millrace/server.properties"],
            "Env": ["PATH=/usr/bin", "TZ=UTC"], "Volumes": {"/var/lib/millrace": {}},
            "ExposedPorts": {"9092/tcp": {}, "9093/tcp": {}, "9404/tcp": {}, "9095/tcp": {}},
            "Labels": {"org.opencontainers.image.title": "Millrace", "org.opencontainers.image.version": args.version,
                       "org.opencontainers.image.licenses": "Apache-2.0"},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer) for layer in layers]},
        "history": [{"created_by": "Debian's libraries"}, {"created_by": "Millrace's programs"}],
    }, sort_keys=True).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + digest(config),
                   "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + digest(blob),
                    "size": len(blob)} for blob in packed],
    }, sort_keys=True).encode()
    blobs = {digest(blob): blob for blob in [*packed, config, manifest]}
    tag = args.name.rsplit(":", 1)[1]
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + digest(manifest),
        "size": len(manifest), "annotations": {"org.opencontainers.image.ref.name": tag,
                                               "io.containerd.image.name": args.name}}]}, sort_keys=True)
    # For engines that read the older archive format: the same blobs under their own list.
    older = json.dumps([{"Config": "blobs/sha256/" + digest(config), "RepoTags": [args.name],
                         "Layers": ["blobs/sha256/" + digest(blob) for blob in packed]}])
    entries = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index.encode(),
               "manifest.json": older.encode()}
    entries.update({"blobs/sha256/" + name: data for name, data in blobs.items()})
    with tarfile.open(args.out + ".new", "w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(entries):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(entries[name]), 0o644
            archive.addfile(plain(info), io.BytesIO(entries[name]))
    pathlib.Path(args.out + ".new").rename(args.out)
    unpacked = sum(len(layer) for layer in layers)
    pull = sum(len(blob) for blob in packed)
    print(f"{args.out}: {args.name}, {pull / (1 << 20):.1f} MiB to pull, {unpacked / (1 << 20):.1f} MiB unpacked")
    return 1 if unpacked > LIMIT else 0


raise SystemExit(main())
