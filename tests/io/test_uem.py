"""UEM files: regions that are scored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.errors import FormatError
from brefine.io.uem import parse_uem, read_uem


def test_regions_are_sorted_and_joined() -> None:
    """Overlapping and touching regions of a recording become one."""
    text = ";; regions\na 1 5.0 9.0\na 1 6 7\na 1 0 2\na 1 1 3.5\na 1 3.5 4\nb\tNA\t0\t1\r\n"
    assert parse_uem(text) == {"a": ((0.0, 4.0), (5.0, 9.0)), "b": ((0.0, 1.0),)}


def test_what_stands_behind_a_region_is_read_over() -> None:
    """Some tools add columns; a fifth one with a time, though, means that a name holds a blank."""
    assert parse_uem("a 1 0 2 <NA> dev 7\n") == {"a": ((0.0, 2.0),)}
    with pytest.raises(FormatError, match=r"line 1: 5 fields instead of 4.*a blank in a name"):
        parse_uem("my talk 1 0 2\n")


def test_all_broken_lines_are_listed() -> None:
    """With their numbers."""
    with pytest.raises(FormatError, match="4 broken lines") as caught:
        parse_uem("a 1 0\na 1 0 x\nb 1 0 1\na 1 3 2\n\x07 1 0 1\n")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["line 1", "line 2", "line 4", "line 5"]


@pytest.mark.parametrize("region", ["-1 2", "3 3", "0 4e7"], ids=["negative", "empty", "longer than a year"])
def test_a_region_that_can_be_none_is_refused(region: str) -> None:
    """Scored by it, a recording would have no error, or none that is its own."""
    with pytest.raises(FormatError, match=r"line 1: the region .* is negative, empty or longer than a year"):
        parse_uem(f"a 1 {region}\n")


def test_the_uem_of_the_ami_excerpts_is_read(shared_data: Path) -> None:
    """Ten excerpts of 30 s."""
    regions = read_uem(shared_data / "ami/all.uem")
    assert len(regions) == 10
    assert set(regions.values()) == {((0.0, 30.0),)}


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """The outcome is regions or a FormatError."""
    try:
        parse_uem(text)
    except FormatError as error:
        assert error.problems
