"""Client commands without what only POSIX has: for macOS and Windows, as far as it can be seen on neither.

The libraries know where they run, so they are imported before modules and names are taken away, ours after.
"""

import json
import subprocess
import sys

from tests.support.nodes import NodeProcess

_PROGRAM = """
import importlib, json, multiprocessing.context, multiprocessing.popen_spawn_posix, os, signal, socket, sys
import prometheus_client

for name in ("cli", "import_command", "tasks.app", "load.command", "schema_command"):
    importlib.import_module("workers." + name)
importlib.import_module("cluster.coordinator.gate")
for name in [name for name in sys.modules if name.partition(".")[0] in ("cluster", "workers")]:
    del sys.modules[name]
registry = prometheus_client.REGISTRY
for collector in list(registry._collector_to_names):
    registry.unregister(collector)

for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None  # importing it raises ImportError
GONE = {
    os: "fork forkpty geteuid getuid getegid getgid setsid setpgid killpg getpgid waitid chown statvfs sync nice"
    " sysconf sched_getaffinity sched_setaffinity posix_fallocate posix_fadvise fdatasync pread pwrite pidfd_open uname"
    " register_at_fork getloadavg O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_TMPFILE WNOHANG WEXITED P_PID",
    signal: "SIGKILL SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGVTALRM SIGSTOP SIGCONT SIGCHLD SIGPIPE"
    " setitimer alarm sigwait sigtimedwait pthread_kill",
    socket: "SO_REUSEPORT",
}
for module, names in GONE.items():
    for name in names.split():
        delattr(module, name)
for method in ("fork", "forkserver"):
    del multiprocessing.context._concrete_contexts[method]

from workers.cli import main

for command in json.loads(sys.argv[1]):
    sys.argv = ["orthanc-cluster", *command]
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    print("status of", command[0], "is", status, flush=True)
"""


def test_import_load_and_schema_do_without(tmp_path, database_uri, storage_directory, redis):
    (tmp_path / "in").mkdir()
    cluster = {"RedisUrl": redis.url}
    with NodeProcess("node", tmp_path, database_uri, storage_directory, cluster=cluster) as node:
        own = ["--config", str(tmp_path / "node.json")]
        commands = [
            ["schema", "status", *own],
            ["schema", "sql", "--from", "1", "--to", "10"],
            ["import", str(tmp_path / "in"), *own],
            ["load", "--target", node.dicom, "--senders", "2", "--instances", "8", "--size", "tiny", *own],
        ]
        argv = [sys.executable, "-c", _PROGRAM, json.dumps(commands)]
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for said in ("revision 10", "CREATE", "No files were found.", "lost 0, duplicated 0"):
        assert said in ended.stdout, ended.stdout + ended.stderr
    for command in commands:
        assert f"status of {command[0]} is 0" in ended.stdout
    assert " is 1" not in ended.stdout
