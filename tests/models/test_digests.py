"""A large file is read once, and again only when it is another."""

import hashlib
import os
from pathlib import Path

import pytest

from harness.models.digests import digests


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(os.urandom(5_000_000))
    return path


def _kept(cache: Path) -> list[str]:
    return [path.name for path in cache.glob("*.json")]


def test_a_digest_is_what_sha256sum_prints(file: Path, tmp_path: Path) -> None:
    assert digests([file], cache=tmp_path / "cache") == {file: hashlib.sha256(file.read_bytes()).hexdigest()}


def test_what_is_kept_is_used_for_the_very_file_alone(file: Path, tmp_path: Path) -> None:
    """Same name, size and time of writing: its time of change gives it away."""
    cache = tmp_path / "cache"
    first = digests([file], cache=cache, settled_seconds=0)[file]
    assert len(_kept(cache)) == 1
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[2_500_000] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    second = digests([file], cache=cache, settled_seconds=0)[file]
    assert second == hashlib.sha256(content).hexdigest() != first
    assert len(_kept(cache)) == 1, "one entry for a file"


def test_a_kept_digest_spares_the_reading(file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = digests([file], cache=cache, settled_seconds=0)
    entry = next(cache.glob("*.json"))
    entry.write_text(entry.read_text().replace(first[file], "f" * 64))
    assert digests([file], cache=cache, settled_seconds=0) == {file: "f" * 64}, "it is taken at its word"


def test_a_file_that_is_new_is_not_relied_on(file: Path, tmp_path: Path) -> None:
    """It may change again within the grain of its clock."""
    digests([file], cache=tmp_path / "cache")
    assert _kept(tmp_path / "cache") == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"digest": 3}'])
def test_a_damaged_entry_is_made_anew(damage: str, file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = digests([file], cache=cache, settled_seconds=0)
    next(cache.glob("*.json")).write_text(damage)
    assert digests([file], cache=cache, settled_seconds=0) == first


def test_links_to_one_file_share_its_digest(file: Path, tmp_path: Path) -> None:
    cache, link = tmp_path / "cache", tmp_path / "link.safetensors"
    link.symlink_to(file)
    found = digests([file, link], cache=cache, settled_seconds=0)
    assert found[file] == found[link] and len(_kept(cache)) == 1
