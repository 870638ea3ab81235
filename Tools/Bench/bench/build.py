# SPDX-License-Identifier: Apache-2.0
"""Installs the packages that only the bench needs, and compiles peers and loads into the build folder."""

import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
FOLDER = ROOT / ".build" / "bench"

PACKAGES = [
    "gcc", "g++", "pkg-config", "libmongoc-dev", "redis-server", "memcached", "libgrpc++-dev", "protobuf-compiler",
    "protobuf-compiler-grpc", "golang-go", "golang-google-grpc-dev", "golang-goprotobuf-dev", "nghttp2-server",
]
FLAGS = ["-O3", "-march=native", "-Wall", "-Wextra"]


def install():
    """Installs missing packages of Debian or Ubuntu, and prevents them from starting services."""
    query = ["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Status}\n", *PACKAGES]
    known = subprocess.run(query, capture_output=True, text=True).stdout
    there = {line.split()[0].split(":")[0] for line in known.splitlines() if line.endswith(" installed")}
    missing = [package for package in PACKAGES if package not in there]
    if not missing:
        return
    print("installing by apt:", *missing, flush=True)
    root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-y", "-q"]
    subprocess.run([*apt, "update"], stdout=subprocess.DEVNULL)
    subprocess.run(
        [*apt, "install", "--no-install-recommends", *missing], check=True, stdout=subprocess.DEVNULL)


def build():
    FOLDER.mkdir(parents=True, exist_ok=True)
    _c("load", "load/load.c", "load/replies.c", "load/http2.c")
    _c("awake", "load/awake.c")
    _c("notices", "load/notices.c", "load/subscriber.c", libraries=["libmongoc-1.0"])
    _c("documents", "load/documents.c", libraries=["libmongoc-1.0"])
    _c("floor_framed", "peers/floor_framed.c")
    _c("floor_fan_out", "peers/floor_fan_out.c")
    _c("floor_http2", "peers/floor_http2.c")
    _grpc_cpp()
    _grpc_go()


def _is_newer(target, sources):
    sources = [HERE / source for source in sources]
    sources += [header for folder in {source.parent for source in sources} for header in folder.glob("*.h")]
    return (FOLDER / target).exists() and all(
        source.stat().st_mtime <= (FOLDER / target).stat().st_mtime for source in sources)


def _run(*words, **more):
    subprocess.run([str(word) for word in words], check=True, **more)


def _packages(*names):
    return subprocess.run(
        ["pkg-config", "--cflags", "--libs", *names], check=True, capture_output=True, text=True).stdout.split()


def _c(target, *sources, libraries=()):
    if not _is_newer(target, sources):
        print("compiling", target, flush=True)
        flags = _packages(*libraries) if libraries else []
        _run("gcc", *FLAGS, "-o", FOLDER / target, *(HERE / source for source in sources), *flags)


def _grpc_cpp():
    sources = ["peers/grpc_peer.cc", "peers/peer.proto"]
    if _is_newer("grpc_peer", sources):
        return
    print("compiling grpc_peer", flush=True)
    made = FOLDER / "made"
    made.mkdir(exist_ok=True)
    _run("protoc", f"-I{HERE / 'peers'}", f"--cpp_out={made}", f"--grpc_out={made}",
         f"--plugin=protoc-gen-grpc={shutil.which('grpc_cpp_plugin')}", HERE / "peers/peer.proto")
    _run("g++", "-std=c++17", "-O2", f"-I{made}", "-o", FOLDER / "grpc_peer", HERE / "peers/grpc_peer.cc",
         made / "peer.pb.cc", made / "peer.grpc.pb.cc", *_packages("grpc++", "protobuf"))


def _grpc_go():
    sources = ["peers/grpc_peer.go", "peers/peer.proto"]
    if _is_newer("grpc_peer_go", sources):
        return
    print("compiling grpc_peer_go", flush=True)
    # Debian installs Go libraries in the layout of a GOPATH.
    package = FOLDER / "go/src/peer"
    for folder in ("pb", "command"):
        (package / folder).mkdir(parents=True, exist_ok=True)
    _run("protoc", f"-I{HERE / 'peers'}", f"--go_out=plugins=grpc:{package / 'pb'}", HERE / "peers/peer.proto")
    shutil.copy(HERE / "peers/grpc_peer.go", package / "command/main.go")
    environment = {
        **os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": f"{FOLDER / 'go'}:/usr/share/gocode",
        "GOCACHE": str(FOLDER / "go-cache")}
    _run("go", "build", "-o", FOLDER / "grpc_peer_go", "peer/command", env=environment)


def versions():
    """Returns the versions of the peers' packages."""
    names = ["redis-server", "memcached", "libgrpc++-dev", "golang-google-grpc-dev", "nghttp2-server", "libmongoc-dev"]
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names]
    return ", ".join(subprocess.run(query, capture_output=True, text=True).stdout.split("\n")[:-1])
