"""Phases among others: which is the newest."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

import pytest

from brefine.errors import FormatError
from brefine.phasedir import Manifest, PhaseDir, find_phase, folder_argument, list_phases
from tests.run.whole_phase import make_phase


@pytest.mark.parametrize("manifest", ["whole", "edited", "missing"])
def test_the_newest_phase_is_the_one_that_was_made_last(tmp_path: Path, manifest: str) -> None:
    """Not the last by name: a colleague's folder may have any, and a command without a phase would stop that one."""
    for name, created_unix_s in (("from-anna", 1e9), ("20261122T000000Z-own", 1.5e9)):
        phase = PhaseDir(make_phase(tmp_path / "made").path.rename(tmp_path / name))
        Manifest.read(phase.manifest).model_copy(update={"created_unix_s": created_unix_s}).write(phase.manifest)
        if manifest == "edited":
            phase.manifest.write_text(phase.manifest.read_text().replace('"argv"', '"argw"'))
        if manifest == "missing":
            phase.manifest.unlink()
            os.utime(phase.config, (created_unix_s, created_unix_s))
    assert [phase.path.name for phase in list_phases(tmp_path)] == ["from-anna", "20261122T000000Z-own"]
    assert find_phase(None, tmp_path).path.name == "20261122T000000Z-own"


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("schema = 2\nnew_key = 1\n", r"another schema \(expected schema = 1, got 2\)\n.*open the phase with that version"),
        ("schema = 1\n[corp", "this is not TOML"),
        ("schema = 1\nnew_key = 1\n", "new_key"),
        (None, r"the phase has lost its recipe\n.*brefine stop \S+/20260101T000000Z-fuzz"),
    ],
    ids=["newer", "torn", "changed", "moved"],
)
def test_a_recipe_that_cannot_be_read_is_a_damaged_file_of_its_phase(tmp_path: Path, recipe: str | None, told: str) -> None:
    """Found all the same, by its supervisor's word, and told with the exit code of any other damaged file: no usage is wrong."""
    phase = make_phase(tmp_path)
    if recipe is None:
        phase.config.unlink()
    else:
        phase.config.write_text(recipe)
    with pytest.raises(FormatError, match=rf"(?s)phase.toml: .*{told}") as refused:
        find_phase(phase.path.name, tmp_path).load_config()
    assert refused.value.exit_code == 1
    assert find_phase(None, tmp_path) == phase


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_in_the_place_of_a_recipe_is_refused_unread(tmp_path: Path, kind: str) -> None:
    """A pipe without a writer would be waited for, and a device read until no memory is left."""
    phase = make_phase(tmp_path)
    phase.config.unlink()
    if kind == "pipe":
        os.mkfifo(phase.config)
    elif kind == "device":
        phase.config.symlink_to("/dev/zero")
    else:
        phase.config.mkdir()
    with pytest.raises(FormatError, match=r"phase.toml: the phase's recipe is not a regular file"):
        phase.load_config()


def test_a_folder_that_may_not_be_entered_hides_no_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A colleague's folder of mode 0700; patched, since root enters every folder."""
    own = make_phase(tmp_path)
    (tmp_path / "of-anna").mkdir()
    stat = Path.stat

    def refused(path: Path, **options: bool) -> os.stat_result:
        if path.parent.name == "of-anna":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    assert [phase.path for phase in list_phases(tmp_path)] == [own.path]


def test_a_phase_that_is_named_from_within_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`brefine stop .` told of a phase without one, in words and in JSON; a link to it goes by the phase's name from within."""
    phase = make_phase(tmp_path)
    (tmp_path / "link").symlink_to(phase.path)
    for here, name in ((phase.path, "."), (phase.path / "mlp", ".."), (tmp_path / "link", ".")):
        monkeypatch.chdir(here)
        assert find_phase(name, Path("runs")).path.name == phase.path.name


@pytest.mark.parametrize("runs", ["runs", "run s", "-runs", "."])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_command_that_is_recommended_finds_the_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: str, hidden: bool
) -> None:
    """Its name alone leads to it from the folder of phases that is the default, unless something here has that name."""
    monkeypatch.delenv("BREFINE_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    phase = find_phase(str(Path(runs) / make_phase(Path(runs)).path.name), Path("runs"))
    if hidden and runs != ".":
        Path(phase.path.name).mkdir()
    typed = shlex.split(folder_argument(phase.path))
    assert [find_phase(word, Path("runs")).path.resolve() for word in typed] == [phase.path.resolve()]
    assert not typed[0].startswith("-")
    assert (typed == [phase.path.name]) is (runs == "." or (runs == "runs" and not hidden))


def test_the_folder_that_the_environment_names_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for the command that will be typed."""
    phase = make_phase(tmp_path)
    assert folder_argument(phase.path) == str(phase.path)
    monkeypatch.setenv("BREFINE_RUNS", str(tmp_path))
    assert folder_argument(phase.path) == phase.path.name
