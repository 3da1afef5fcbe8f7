"""Whatever lies in a file: readers return a result or a `BrefineError`, in bounded time and memory."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from brefine.errors import FormatError
from brefine.io.rttm import read_rttm
from tests.fuzz.mutation import mutated
from tests.fuzz.readers import Reader, make_readers
from tests.fuzz.run import CORPUS, fault_of, kept_corpus

_NAMES = sorted(path.name for path in CORPUS.iterdir())
_UNPICKLED = Path("/tmp/brefine-unpickled")
"""What the pickles of the corpus would make if anybody loaded them."""

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Reader]]:
    state = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield make_readers(tmp_path_factory.mktemp("readers"))
    if state is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = state


def test_every_reader_is_tried(readers: dict[str, Reader]) -> None:
    """The kept corpus knows no reader that is gone, and honest files are read without a word."""
    assert set(_NAMES) <= set(readers)
    for reader in readers.values():
        for seed in reader.seeds:
            assert fault_of(reader, seed) is None, reader.name


@pytest.mark.parametrize("name", _NAMES)
def test_inputs_that_were_interesting_once_are_harmless(readers: dict[str, Reader], name: str) -> None:
    """Each kept input is read or refused, and no pickle in it is obeyed."""
    _UNPICKLED.unlink(missing_ok=True)
    for data in kept_corpus(name):
        assert fault_of(readers[name], data) is None, data[:200]
    assert not _UNPICKLED.exists()


@given(place=st.integers(0, (1 << 16) - 1), seed=st.integers(0, 1 << 64), noise=st.binary(max_size=300))
@settings(max_examples=300, phases=[Phase.explicit, Phase.reuse, Phase.generate], deadline=None)
def test_mutated_files_end_in_a_result_or_in_words(readers: dict[str, Reader], place: int, seed: int, noise: bytes) -> None:
    """A few mutations of real files, and a little noise, for every reader; `make fuzz` tries a million."""
    reader = readers[sorted(readers)[place % len(readers)]]
    content = noise if seed % 8 == 0 else mutated(random.Random(seed), reader.seeds)
    assert fault_of(reader, content) is None, (reader.name, content[:200])


def test_a_file_of_ten_million_lines_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    """What is larger than two million turns is told to be split; memory stays below the limit of a file."""
    path = tmp_path / "large.rttm"
    path.write_bytes(b"SPEAKER r 1 0.0 1.0 <NA> <NA> s <NA> <NA>\n")
    os.truncate(path, 10_000_000 * 50)
    with pytest.raises(FormatError, match=r"too large.*\n.*split it"):
        read_rttm(path)
