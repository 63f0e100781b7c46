"""Runs in the child, between fork and exec: takes on an identity, asks to die with its parent, becomes the program.

    python -I -S trampoline.py --parent PID --death-signal N [--namespace UID:GID | --user UID:GID] PROGRAM [ARGUMENT…]

It is a program of its own and not a `preexec_fn`, because Python code that runs in the fork of a process with threads
can deadlock, and because a user namespace can only be entered by a process that has one thread.
Standard library only, so that it starts in 20 ms and from any interpreter.

The order matters: a change of identity clears the death signal (prctl(2), PR_SET_PDEATHSIG), so that comes after it;
and a parent that was gone before prctl sends no signal any more, so its pid is compared after that.
"""

import argparse
import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    identity = parser.add_mutually_exclusive_group()
    identity.add_argument("--namespace", type=_two_ids)
    identity.add_argument("--user", type=_two_ids)
    parser.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        if options.namespace:
            enter_user_namespace(*options.namespace)
        if options.user:
            become(*options.user)
        die_with_parent(options.parent, options.death_signal)
        _reset_signals()
        os.execvp(options.program[0], options.program)  # noqa: S606
    except OSError as error:
        sys.exit(f"cannot run {options.program[0]}: {error}")


def enter_user_namespace(uid: int, gid: int) -> None:
    """Show this process's user and group as `uid` and `gid` to itself and its children (user_namespaces(7)).

    For the rest of the machine nothing changes: files belong to the same owner as before.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        _raise_errno("unshare(CLONE_NEWUSER)")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def become(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Have the kernel send `death_signal` when the thread that started this process ends; Linux only."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal) != 0:
        _raise_errno("prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the parent died before this process had started")


def _reset_signals() -> None:
    """Python ignores two signals, a shell's background job a third, and exec would hand that down."""
    for name in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(name, signal.SIG_DFL)


def _two_ids(text: str) -> tuple[int, int]:
    uid, gid = text.split(":")
    return int(uid), int(gid)


def _raise_errno(call: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
