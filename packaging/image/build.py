#!/usr/bin/env python3
"""A container image of wagi as an OCI image layout, made without a daemon, without root and without a network.

    python3 packaging/image/build.py --strip target/dist/wagi target/image

In it is the program, with the libraries and the loader that it is linked to, the certificates of the system, and nothing else:
no shell, no package manager. The same files give the same bytes: entries are sorted, belong to root and have one time.
`SOURCE_DATE_EPOCH` sets that time. With `--wasm-opt` there is a second image, for build pipelines, in which `wagi compile
--optimize` finds its optimizer.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time

# Nobody on the host; the one that other images without a shell use too.
USER = 65532
ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\nwagi:x:{USER}:{USER}:wagi:/var/lib/wagi:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nwagi:x:{USER}:\n",
    # Without it the resolver of the C library asks DNS before it looks into /etc/hosts.
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ELF_MACHINES = {0x3E: "amd64", 0xB7: "arm64"}


def architecture(program):
    with open(program, "rb") as file:
        head = file.read(20)
    machine = ELF_MACHINES.get(struct.unpack_from("<H", head, 18)[0]) if head[:4] == b"\x7fELF" else None
    if machine is None:
        sys.exit(f"error: {program} is not a program for Linux on x86-64 or arm64")
    return machine


def libraries(program):
    """What the loader would load: from the path in the image to the file here."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if "not found" in listed.stdout:
        sys.exit(f"error: a library of {program} is missing here:\n{listed.stdout}")
    found = {}
    for line in listed.stdout.splitlines():
        match = re.match(r"\s*(?:(\S+) => )?(/\S+)", line)
        if match:
            name, path = match.groups()
            # The loader has its place in the head of the program. Libraries are looked up in the directory of the system.
            inside = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) if name else path
            found[inside.lstrip("/")] = os.path.realpath(path)
    return found


def copyrights(files):
    """The licences of what comes from packages of Debian, where dpkg knows them."""
    found = {}
    for path in files:
        for name in {path, path.removeprefix("/usr")}:
            owner = subprocess.run(["dpkg-query", "--search", name], capture_output=True, text=True, check=False)
            text = f"/usr/share/doc/{owner.stdout.split(':')[0]}/copyright"
            if owner.returncode == 0 and os.path.exists(text):
                found[text.lstrip("/")] = os.path.realpath(text)
    return found


class Layer:
    """A tar archive whose bytes depend on nothing but what is in it."""

    def __init__(self, when):
        self.when = when
        self.entries = {}

    def directory(self, path, mode=0o755, owner=0):
        self.entries[path] = (tarfile.DIRTYPE, mode, owner, b"")

    def file(self, path, content, mode=0o644):
        parent = os.path.dirname(path)
        while parent and parent not in self.entries:
            self.directory(parent)
            parent = os.path.dirname(parent)
        self.entries[path] = (tarfile.REGTYPE, mode, 0, content)

    def copies(self, files, mode=0o755):
        for inside, path in files.items():
            with open(path, "rb") as file:
                self.file(inside, file.read(), mode)

    def packed(self):
        """The archive, and the archive compressed."""
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in sorted(self.entries):
                kind, mode, owner, content = self.entries[path]
                entry = tarfile.TarInfo(path)
                entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner
                entry.mtime, entry.size = self.when, len(content)
                archive.addfile(entry, io.BytesIO(content))
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=6, mtime=0) as stream:
            stream.write(plain.getvalue())
        return plain.getvalue(), packed.getvalue()


class Layout:
    """A directory as the OCI Image Layout Specification 1.0 has it."""

    def __init__(self, directory):
        self.directory = directory
        if os.path.isdir(directory) and os.listdir(directory) and not os.path.exists(f"{directory}/oci-layout"):
            sys.exit(f"error: {directory} is not empty and not an image layout: name another directory")
        shutil.rmtree(f"{directory}/blobs", ignore_errors=True)
        os.makedirs(f"{directory}/blobs/sha256")
        self.write("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        self.manifests = []

    def write(self, name, content):
        with open(f"{self.directory}/{name}", "wb") as file:
            file.write(content)

    def blob(self, content, kind):
        digest = hashlib.sha256(content).hexdigest()
        self.write(f"blobs/sha256/{digest}", content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, tag, config, layers):
        described = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(encoded(config), CONFIG),
            "layers": [self.blob(packed, LAYER) for _, packed in layers],
            "annotations": config["config"]["Labels"],
        }
        manifest = self.blob(encoded(described), MANIFEST)
        manifest["annotations"] = {"org.opencontainers.image.ref.name": tag}
        manifest["platform"] = {"architecture": config["architecture"], "os": "linux"}
        self.manifests.append(manifest)
        print(f"{manifest['digest']}  {tag}")

    def finish(self):
        self.write("index.json", encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests}))


def encoded(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def configuration(layers, when, machine, labels):
    """What a container does with the image if its user says nothing else."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    digests = [f"sha256:{hashlib.sha256(plain).hexdigest()}" for plain, _ in layers]
    serve = ["serve", "--config", "/etc/wagi/modules.toml", "--listen", "0.0.0.0:3000", "--admin", "127.0.0.1:9901"]
    return {
        "created": created,
        "architecture": machine,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "ExposedPorts": {"3000/tcp": {}},
            "Env": ["PATH=/usr/bin", "HOME=/var/lib/wagi", "XDG_CACHE_HOME=/var/cache", f"SSL_CERT_FILE={CERTIFICATES}"],
            "Entrypoint": ["/usr/bin/wagi"],
            "Cmd": [*serve, "--log-format", "json"],
            # Relative paths in modules.toml begin here.
            "WorkingDir": "/etc/wagi",
            "Labels": labels,
            "StopSignal": "SIGTERM",
            # Docker obeys it. Podman needs `--health-cmd`, Kubernetes has probes of its own. Times are in nanoseconds.
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/wagi", "health"],
                "Interval": 10_000_000_000,
                "Timeout": 12_000_000_000,
                "StartPeriod": 60_000_000_000,
                "Retries": 3,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created": created, "created_by": "packaging/image/build.py"} for _ in layers],
    }


def base_layer(program, when):
    layer = Layer(when)
    linked = libraries(program)
    layer.copies(linked)
    texts = copyrights([*linked.values(), "/usr/sbin/update-ca-certificates"])
    layer.copies({**texts, CERTIFICATES.lstrip("/"): CERTIFICATES}, 0o644)
    for path, text in ACCOUNTS.items():
        layer.file(path, text.encode())
    # Mount points of an image whose root is read-only; in `tmp` are scratch directories of guests.
    layer.directory("tmp", 0o1777)
    layer.directory("var")
    layer.directory("var/cache")
    layer.directory("var/cache/wagi", 0o700, USER)
    layer.directory("var/lib")
    layer.directory("var/lib/wagi", 0o750, USER)
    layer.directory("etc/wagi")
    return layer


def program_layer(program, when):
    layer = Layer(when)
    layer.copies({"usr/bin/wagi": program})
    licence = os.path.join(os.path.dirname(__file__), "../../LICENSE")
    layer.copies({"usr/share/doc/wagi/copyright": licence}, 0o644)
    return layer


def optimizer_layer(optimizer, base, when):
    layer = Layer(when)
    linked = {inside: path for inside, path in libraries(optimizer).items() if inside not in base.entries}
    layer.copies({"usr/bin/wasm-opt": optimizer, **linked})
    texts = copyrights([*linked.values(), optimizer])
    layer.copies({inside: path for inside, path in texts.items() if inside not in base.entries}, 0o644)
    return layer


def version_of(program):
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return printed.split()[-1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the program to pack, for example target/dist/wagi")
    parser.add_argument("directory", help="where the layout is written, for example target/image")
    parser.add_argument("--strip", action="store_true", help="pack it without its debug information; needs binutils")
    parser.add_argument("--version", help="the tag, and a label [default: what the program says]")
    parser.add_argument("--revision", help="a label: the commit that the program was built from")
    parser.add_argument("--wasm-opt", nargs="?", const="/usr/bin/wasm-opt", metavar="FILE",
                        help="also make the image VERSION-wasm-opt, with this optimizer [default: /usr/bin/wasm-opt]")
    return parser.parse_args()


def main():
    asked = arguments()
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    version = asked.version or version_of(os.path.abspath(asked.program))
    labels = {
        "org.opencontainers.image.title": "wagi",
        "org.opencontainers.image.description": "A gateway that serves WebAssembly programs over HTTP, CGI style",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": version,
    }
    if asked.revision:
        labels["org.opencontainers.image.revision"] = asked.revision
    with tempfile.TemporaryDirectory() as scratch:
        program = asked.program
        if asked.strip:
            program = f"{scratch}/wagi"
            subprocess.run(["strip", "-o", program, asked.program], check=True)
        machine = architecture(program)
        base = base_layer(program, when)
        layers = [base.packed(), program_layer(program, when).packed()]
    layout = Layout(asked.directory)
    layout.image(version, configuration(layers, when, machine, labels), layers)
    if asked.wasm_opt:
        layers.append(optimizer_layer(asked.wasm_opt, base, when).packed())
        labels = {**labels, "org.opencontainers.image.title": "wagi with wasm-opt"}
        layout.image(f"{version}-wasm-opt", configuration(layers, when, machine, labels), layers)
    layout.finish()


if __name__ == "__main__":
    main()
