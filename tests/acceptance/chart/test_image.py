"""deploy/Dockerfile, read, as there is no container engine here: what keeps an image small, harmless and the same."""

import json
import re
import tomllib
from pathlib import Path

from tests.acceptance.chart.rendering import ROOT, default_values
from tests.acceptance.chart.test_configuration import understood

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.M)).splitlines()
INSTRUCTIONS = [tuple(line.split(" ", 1)) for line in LINES if line]
LAST_STAGE = INSTRUCTIONS[max(number for number, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]


def last(word):
    return [rest for instruction, rest in LAST_STAGE if instruction == word][-1]


def test_base_is_the_same_in_both_stages_and_names_no_registry():
    bases = [rest.split()[0] for word, rest in INSTRUCTIONS if word == "FROM"]
    assert bases == ["${PYTHON}", "${PYTHON}"]
    [base] = [rest for word, rest in INSTRUCTIONS if word == "ARG"]
    assert re.fullmatch(r"PYTHON=python:3\.\d+-slim-\w+", base)


def test_everything_installed_is_pinned_by_hash():
    installs = [
        part for word, rest in INSTRUCTIONS if word == "RUN" for part in rest.split("&&") if " install " in part
    ]
    packages = [it for it in installs if "pip install" in it]
    assert len(packages) == 3
    for command in packages:
        ours = "--no-deps --no-index /wheel/" in command
        assert ours or re.search(r"--require-hashes --only-binary=:all: .*deploy/locks/\w+\.txt", command)
    [build] = [rest for word, rest in INSTRUCTIONS if word == "RUN" and "uv build" in rest]
    assert "--require-hashes --build-constraints deploy/locks/requirements.txt" in build
    assert not any("apt" in rest or "curl" in rest for word, rest in INSTRUCTIONS if word == "RUN")


def test_nothing_for_development_is_asked_for():
    [install] = [rest for word, rest in INSTRUCTIONS if "-r pyproject.toml" in rest]
    assert not re.search(r"--group|--all-extras", install)
    # of the extras only what nodes can be configured for
    assert re.findall(r"--extra[ =](\S+)", install) == ["s3", "otel"]


def test_copied_files_are_in_the_context():
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    for word, rest in INSTRUCTIONS:
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert any(Path(source).is_relative_to(it) for it in let_in)


def test_user_is_that_of_the_chart_and_not_root():
    security = default_values()["podSecurity"]
    assert last("USER") == f"{security['runAsUser']}:{security['runAsGroup']}"
    [run] = [rest for word, rest in LAST_STAGE if word == "RUN"]
    assert f"--gid {security['runAsGroup']}" in run
    assert f"--uid {security['runAsUser']}" in run
    # What follows USER is not done by root, and nothing is: no RUN comes after it.
    words = [word for word, _ in LAST_STAGE]
    assert "RUN" not in words[words.index("USER") :]


def test_runs_with_a_read_only_root():
    environment = last("ENV")
    assert {"HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"} <= set(environment.split())
    assert last("WORKDIR") == "/tmp"
    assert not any(word == "VOLUME" for word, _ in LAST_STAGE)


def test_the_role_is_the_argument():
    assert json.loads(last("ENTRYPOINT")) == ["orthanc-cluster"]
    assert json.loads(last("CMD")) == ["--help"]
    understood(["ingest", "--config", "/etc/orthanc"])


def test_storage_is_where_the_chart_mounts_it():
    [run] = [rest for word, rest in LAST_STAGE if word == "RUN"]
    assert f"-m 0750 {default_values()['storage']['mountPath']} " in run


def test_health_looks_at_the_process_only():
    check = last("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/livez" in command[2]


def test_no_version_by_chance():
    # "latest" of anything would make two builds of one commit differ.
    assert "latest" not in DOCKERFILE.read_text("utf-8")


def test_every_requirement_is_in_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lock = (ROOT / "deploy" / "locks" / "requirements.txt").read_text("utf-8")
    for requirement in project["dependencies"]:
        name = re.match(r"[\w-]+", requirement)[0].lower()
        assert re.search(rf"^{name}==", lock, re.M), name
