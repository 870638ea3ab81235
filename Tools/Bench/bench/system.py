# SPDX-License-Identifier: Apache-2.0
"""The processes of the bench, their cores, and the CPU time that other processes use meanwhile."""

import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = 0, 1
# The maximum CPU time that other processes may use during a run, as a part of one core. A run with more is repeated,
# and is not part of a median if there are other runs.
QUIET = 0.10

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    pass


class System:
    """Starts processes. Ends all of them and deletes its folder at the end of the run, also after an error."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="config-lookup-bench-"))
        self.children = []
        # Processes write their temporary files into the folder.
        own = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "MONGOC_DISABLE_SHM": "1"}
        self._environment = {**os.environ, **own}
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        # Client and server have ten thousand connections each.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = most if most != resource.RLIM_INFINITY else 1 << 16
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, 1 << 16), most))

    @staticmethod
    def _interrupt(*_):
        raise KeyboardInterrupt

    def start(self, command, core=SERVER_CORE, is_first=False, log=None, **more):
        """Starts a process that is pinned to a core (None: not pinned). Its output goes to a file in the folder.

        `is_first`: gives it real-time priority on its core, if the system allows that.
        """

        def prepare():
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            # A process group of its own, so that Ctrl-C reaches only the bench, which ends its processes.
            os.setpgid(0, 0)
            if core is not None:
                os.sched_setaffinity(0, {core})
            if is_first:
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

        output = open(self.folder / (log or "log"), "ab")
        more = {"stdout": output, "stderr": output, "stdin": subprocess.DEVNULL, **more}
        child = subprocess.Popen(
            [str(word) for word in command], env=self._environment, cwd=self.folder, preexec_fn=prepare, **more)
        output.close()
        self.children.append(child)
        return child

    def run(self, command, core=LOAD_CORE, seconds=120, **more):
        """Runs a process and returns its output. Raises BenchError if it fails."""
        child = self.start(command, core, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        try:
            output, problem = child.communicate(timeout=seconds)
        finally:
            self.stop(child)
        if child.returncode:
            raise BenchError(f"{' '.join(map(str, command))}: {child.returncode}: {output}{problem}")
        return output

    def stop(self, child, seconds=30):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child in self.children:
            self.children.remove(child)

    def close(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in self.children:
            child.kill()
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_lines(self, log):
        return "\n".join((self.folder / log).read_text(errors="replace").splitlines()[-10:])


def poll(what, holds, seconds=60, child=None):
    """Waits until a condition is true, and returns its value."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        if child is not None and child.poll() is not None:
            raise BenchError(f"{what}: the process ended with {child.returncode}")
        if time.monotonic() > end:
            raise BenchError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return value


def free_port():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def processor_seconds(pid):
    """The user and system time of all threads of a process, in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_bytes(pid, field="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(field + r":\s+(\d+)", status).group(1)) * 1024


def _machine_seconds():
    """The busy and the stolen time of all cores since boot, in seconds."""
    times = [int(word) for word in open("/proc/stat").readline().split()[1:]]
    return (times[0] + times[1] + times[2] + times[5] + times[6]) / TICK, times[7] / TICK


class Noise:
    """Measures the CPU time of all processes except the given ones, this one and its children that have ended."""

    def __init__(self, pids):
        self._pids = list(pids)
        self._start, self._times, self._own = time.monotonic(), _machine_seconds(), self._own_seconds()

    def _own_seconds(self):
        ended, own = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
        return (sum(processor_seconds(pid) for pid in self._pids)
                + ended.ru_utime + ended.ru_stime + own.ru_utime + own.ru_stime)

    def end(self):
        """Returns the CPU time since the start, including stolen time, as a part of one core."""
        busy, stolen = (now - then for now, then in zip(_machine_seconds(), self._times))
        foreign = busy - (self._own_seconds() - self._own)
        return (max(0.0, foreign) + stolen) / (time.monotonic() - self._start)


def wait_until_quiet(seconds):
    """Waits until the machine uses less than 0.15 cores, but not longer than `seconds`."""
    end = time.monotonic() + seconds
    while True:
        before, start = _machine_seconds()[0], time.monotonic()
        time.sleep(0.1)
        if (_machine_seconds()[0] - before) / (time.monotonic() - start) < 0.15 or time.monotonic() > end:
            return


def description():
    """Returns a description of the machine: names and values, for the output."""
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1024 ** 2
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": cpu.group(1) if cpu else os.uname().machine,
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory:.1f} GiB",
        "kernel": os.uname().release,
        "system": system.group(1) if system else "",
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }
