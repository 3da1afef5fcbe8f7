"""What brefine is made of: pinned, free to use together, and listed."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.licences import PAGE, closure, is_gpl, licence_of

_REPOSITORY = Path(__file__).parents[1]
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)(\s*;.*)?")


def _pins() -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (_REPOSITORY / "constraints.txt").read_text().splitlines()]
    found = {line: _PIN.fullmatch(line) for line in lines if line}
    assert [line for line, match in found.items() if match is None] == []
    return {canonicalize_name(match[1]): match[2] for match in found.values() if match is not None}


def test_every_dependency_is_pinned_to_one_version() -> None:
    """constraints.txt holds nothing but exact versions, and one of each package that brefine brings along."""
    pins = _pins()
    assert {one.metadata["Name"] for one in closure() if canonicalize_name(one.metadata["Name"]) not in pins} == set()


def test_nothing_under_the_gpl_is_linked_by_default() -> None:
    """The LGPL may be linked, and of a choice the freer licence is taken."""
    assert {one.metadata["Name"]: licence_of(one) for one in closure() if is_gpl(licence_of(one))} == {}


def test_every_licence_is_told_and_listed() -> None:
    """docs/licences.md names each package that is installed by default; `make licences` writes it anew."""
    listed = PAGE.read_text(encoding="utf-8")
    assert {one.metadata["Name"] for one in closure() if f"| {canonicalize_name(one.metadata['Name'])} |" not in listed} == set()
    assert "not told" not in listed
