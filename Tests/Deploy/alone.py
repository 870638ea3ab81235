# SPDX-License-Identifier: Apache-2.0
"""Runs the release build alone in an empty root, with a database that requires passwords: alone.py ROOT METRICS.

ROOT is the output of deploy/collect-root; only the seed is added to it. The database has the roles of
deploy/mongodb/roles.js. The server's /metrics is written to METRICS. Run this from the root of the package, as root.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

import pymongo
import pymongo.errors

SERVER, SEED = "configLookupServer", "configLookupSeed"
root, metrics = sys.argv[1:]
folder = tempfile.mkdtemp(prefix="config-lookup-")
children = []


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def roles():
    """Returns the roles of the script for mongosh, which are JSON except for the comments."""
    text = re.search(r"const roles = (\[.*?\n\]);", open("deploy/mongodb/roles.js").read(), re.DOTALL)[1]
    return json.loads(re.sub(r"//.*", "", text))


def start_database(port, *flags):
    command = [os.path.join(os.path.dirname(sys.executable), "secantusd-py"), "--port", str(port)]
    command += ["--storage-path", f"{folder}/data", "--sync-on-commit", "--noop-heartbeat-seconds", "1", *flags]
    with open(f"{folder}/database.log", "a") as log:
        child = subprocess.Popen(command, cwd=folder, env={**os.environ, "HOME": folder}, stdout=log, stderr=log)
    children.append(child)
    client = pymongo.MongoClient(port=port, serverSelectionTimeoutMS=20000)
    client.admin.command("hello")
    return child, client


def stop(child):
    child.send_signal(signal.SIGTERM)
    return child.wait(30)


# The root is read-only. It has /proc, as in every container, because Swift reads the command line from there.
ALONE = """
mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount -o remount,bind,ro "$0" || exit
exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin MONGOC_DISABLE_SHM=1 chroot --userspec=10001:10001 "$0" "$@"
"""


def alone(*words, **options):
    """Starts a program in the root, as an unprivileged user, with only the environment that it needs."""
    return subprocess.Popen(["unshare", "--mount", "sh", "-c", ALONE, root, *words], text=True, **options)


def output(*words):
    child = alone(*words, stdout=subprocess.PIPE)
    text, _ = child.communicate(timeout=60)
    assert child.returncode == 0, f"{words[0]} {words[1]} ended with {child.returncode}: {text}"
    return text


def refused(what, body):
    """The database must reject the command with the code 13 (Unauthorized)."""
    try:
        body()
    except pymongo.errors.OperationFailure as error:
        assert error.code == 13, f"{what}: {error}"
        return
    raise AssertionError(f"{what}: the database allows it")


def try_roles(uri):
    """Tries what the roles do not allow. The test database checks the action and the database only."""
    with pymongo.MongoClient(uri(SERVER)) as client:
        agents = client.ai_model.agent_configs
        assert agents.count_documents({}) > 0
        refused("insert", lambda: agents.insert_one({}))
        refused("update", lambda: agents.update_one({}, {"$set": {"a": 1}}))
        refused("delete", lambda: agents.delete_one({}))
        refused("drop", agents.drop)
        refused("another database", client.elsewhere.agent_configs.find_one)
        refused("the oplog", client.local["oplog.rs"].find_one)
        refused("a user", lambda: client.admin.command("createUser", "x", pwd="x", roles=[]))
    with pymongo.MongoClient(uri(SEED)) as client:
        refused("seed: delete", lambda: client.ai_model.prompts.delete_one({}))
        refused("seed: drop", client.ai_model.prompts.drop)
        refused("seed: another database", lambda: client.elsewhere.prompts.insert_one({}))


def serve(uri):
    """The server must start, answer lookups, and exit with 0 on SIGTERM."""
    server = alone(
        "config-lookup-server", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--mongodb-uri", uri,
        stderr=subprocess.PIPE)
    children.append(server)
    lines = []
    for line in server.stderr:
        lines.append(line)
        fields = json.loads(line)
        if fields["event"] == "ready":
            break
    else:
        raise AssertionError("".join(lines))
    at = ["--server", fields["listen"]]
    assert output("config-lookup", "health", *at) == "serving\n"
    assert "agent_id: disease-diagnosis" in output("config-lookup", "get", "agent", "disease-diagnosis", *at)
    page = urllib.request.urlopen(f"http://{fields['http_listen']}/metrics", timeout=20).read().decode()
    with open(metrics, "w") as file:
        file.write(page)
    code = stop(server)
    assert code == 0, f"the server ended with {code}: {server.stderr.read()}"


try:
    port = free_port()
    database, client = start_database(port)
    for role in roles():
        client.admin.command("createRole", role["role"], privileges=role["privileges"], roles=role["roles"])
        client.admin.command("createUser", role["role"], pwd="a-password", roles=[role["role"]])
    client.close()
    stop(database)
    start_database(port, "--auth")

    def uri(user):
        return f"mongodb://{user}:a-password@127.0.0.1:{port}/?authSource=admin"

    shutil.copytree("deploy/seed", f"{root}/seed")
    os.mkdir(f"{root}/proc")
    output("config-lookup", "seed", "/seed", "--mongodb-uri", uri(SEED))
    try_roles(uri)
    serve(uri(SERVER))
    print("the release build serves alone in an empty root; the roles suffice, and allow no more")
finally:
    for child in reversed(children):
        if child.poll() is None:
            child.kill()
            child.wait()
    shutil.rmtree(folder, ignore_errors=True)
