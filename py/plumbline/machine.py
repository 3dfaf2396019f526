# SPDX-License-Identifier: MIT
"""The machine as it matters to IPC: kernel, libc, clock, capabilities, namespaces, each limit with what lifts it."""
from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# bit → name, linux/capability.h
CAPS = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE "
    "SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN "
    "SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()

RLIMITS = (
    ("RLIMIT_NOFILE", "ulimit -n", "descriptors of one process"),
    ("RLIMIT_NPROC", "ulimit -u", "processes of this user"),
    ("RLIMIT_MSGQUEUE", "ulimit -q", "bytes of POSIX message queues of this user"),
    ("RLIMIT_MEMLOCK", "ulimit -l", "bytes locked in memory"),
    ("RLIMIT_SIGPENDING", "ulimit -i", "signals queued for this user"),
)
SYSCTLS = (
    ("fs.mqueue.queues_max", "POSIX message queues of an IPC namespace"),
    ("fs.mqueue.msg_max", "messages of one queue"),
    ("fs.mqueue.msgsize_max", "bytes of one message"),
    ("fs.pipe-max-size", "bytes of one pipe, unprivileged"),
    ("fs.pipe-user-pages-soft", "pages of all pipes of a user; beyond: one page each"),
    ("fs.pipe-user-pages-hard", "pages of all pipes of a user; 0: no limit"),
    ("kernel.pid_max", "process ids"),
    ("kernel.threads-max", "threads of the system"),
    ("kernel.yama.ptrace_scope", "0: /proc/PID of strangers can be observed"),
    ("kernel.msgmni", "System V queues"),
    ("kernel.shmmni", "System V segments"),
    ("kernel.sem", "System V semaphores"),
)


@dataclass(frozen=True)
class Limit:
    name: str
    value: str
    means: str
    lift: str


def read(path: str, default: str = "") -> str:
    """A file's text without the blanks around it; `default` when it cannot be read."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return default


def limits() -> list[Limit]:
    """Every limit that stands between this machine and hundreds of drivers."""
    out = []
    for name, flag, means in RLIMITS:
        soft, hard = resource.getrlimit(getattr(resource, name)) if hasattr(resource, name) else _proc_limit(name)
        show = (
            "unlimited"
            if soft < 0
            else f"{soft}" + (f" (hard {'unlimited' if hard < 0 else hard})" if hard != soft else "")
        )
        lift = f"{flag} N" if hard < 0 or hard > soft else f"{flag} N, as root with CAP_SYS_RESOURCE"
        out.append(Limit(name, show, means, "" if soft < 0 else lift))
    for name, means in SYSCTLS:
        value = read("/proc/sys/" + name.replace(".", "/"))
        if value:
            out.append(Limit(name, value.replace("\t", " "), means, f"sysctl -w {name}=N"))
    pids = read("/sys/fs/cgroup/pids.max") or read("/sys/fs/cgroup/pids/pids.max")
    if pids:
        out.append(Limit("pids.max", pids, "processes of this cgroup", "pids.max of the cgroup"))
    return out


def _proc_limit(name: str) -> tuple[int, int]:
    label = {"RLIMIT_MSGQUEUE": "Max msgqueue size", "RLIMIT_SIGPENDING": "Max pending signals"}.get(name, "-")
    for line in read("/proc/self/limits").splitlines():
        if line.startswith(label):
            soft, hard = line[len(label) :].split()[:2]
            return tuple(-1 if v == "unlimited" else int(v) for v in (soft, hard))  # type: ignore[return-value]
    return -1, -1


def capabilities() -> list[str]:
    """Names of the effective set."""
    line = next((x for x in read("/proc/self/status").splitlines() if x.startswith("CapEff")), "CapEff: 0")
    bits = int(line.split()[1], 16)
    return [name for i, name in enumerate(CAPS) if bits >> i & 1]


def rung(pid: int | None = None) -> str:
    """What an observer can learn of a waiting child here: syscall, stat or none. Tried on one in read(2)."""
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        for name in ("syscall", "stat"):
            try:
                if Path(f"/proc/{child.pid}/{name}").read_text():
                    return name
            except OSError:
                continue
        return "none"
    finally:
        child.stdin.close()
        child.wait()


def mounted(path: str) -> str:
    """ "tmpfs, 64 MiB free", "not mounted", "read-only" …"""
    here = [line.split() for line in read("/proc/self/mounts").splitlines() if line.split()[1:2] == [path]]
    if not here:
        return "not mounted" if not os.path.isdir(path) else "a plain folder"
    kind, options = here[-1][2], here[-1][3].split(",")
    try:
        v = os.statvfs(path)
        free = f", {v.f_bavail * v.f_frsize // 2**20} MiB free" if v.f_blocks else ""
    except OSError:
        free = ""
    return kind + (", read-only" if "ro" in options else "") + free


def libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError):
        return "not glibc"


def environment() -> dict[str, Any]:
    """What a report says about where it was made."""
    u = platform.uname()
    return {
        "kernel": f"{u.system} {u.release}",
        "version": u.version,
        "machine": u.machine,
        "host": u.node,
        "libc": libc(),
        "cpus": len(os.sched_getaffinity(0)),
        "model": _cpu(),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "uid": os.geteuid(),
        "capabilities": capabilities(),
        "rung": rung(),
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
        "namespaces": {n: _link(f"/proc/self/ns/{n}") for n in ("ipc", "pid", "mnt", "user", "net", "uts", "time")},
        "mounts": {p: mounted(p) for p in ("/dev/shm", "/dev/mqueue")},
        "limits": {limit.name: limit.value for limit in limits()},
        "container": _container(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    for line in read("/proc/cpuinfo").splitlines():
        if line.lower().startswith(("model name", "cpu model", "hardware")):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _container() -> str:
    if os.path.exists("/run/.containerenv"):
        return "podman"
    return "docker" if os.path.exists("/.dockerenv") else read("/run/systemd/container")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def modules() -> dict[str, str]:
    """Python modules that matter, with their versions, "" when missing."""
    out = {}
    for name, package in (
        ("pytest", "pytest"),
        ("xdist", "pytest-xdist"),
        ("rich", "rich"),
        ("jinja2", "jinja2"),
        ("hypothesis", "hypothesis"),
    ):
        try:
            out[name] = importlib.metadata.version(package) if importlib.util.find_spec(name) else ""
        except importlib.metadata.PackageNotFoundError:
            out[name] = "?"
    return out
