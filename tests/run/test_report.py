"""The report: whole, self-contained, and safe whatever names and notes hold."""

from __future__ import annotations

import errno
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile

from brefine.errors import BrefineError
from brefine.evaluate.evaluation import format_rows
from brefine.phasedir import BoundaryRow, CheckpointCard, CorpusManifest, CorpusRecording, GateRecord, PhaseDir, Stage
from brefine.run.gate_report import judge_phase
from brefine.run.report import report_page, write_report
from brefine.run.report_boundaries import audio_of, extremes, picture, read_boundaries
from brefine.run.report_charts import Axis, Rule, Series, bar_chart, line_chart
from brefine.run.snapshot import PhaseState
from brefine.run.tables import integration_table
from tests.run.records import integration
from tests.run.whole_phase import make_phase
from tests.tui import memory_phases

_EVIL = '<script>alert("x")</script>'


_EMPTY = {"meta", "img", "br", "line", "circle", "rect", "path", "i"}


class _Reader(HTMLParser):
    """Collects tags that are open at the end, and every address that the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY:
            assert self.open.pop() == tag


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


def _row(before_s: float, after_s: float, recording: str = "talk") -> BoundaryRow:
    return BoundaryRow(
        recording=recording,
        speaker="A",
        side="onset",
        kind="pause",
        reference_s=1.0,
        hypothesis_s=1.0 + before_s,
        refined_s=1.0 + after_s,
        confidence=0.5,
    )


def _decided() -> str:
    shot = memory_phases.phase(
        PhaseState.DECIDED,
        name=f"phase {_EVIL}",
        evaluations={"transformer": memory_phases.evaluation("transformer")},
        selection=memory_phases.selection(why=_EVIL),
        integration=memory_phases.integration(),
        gate=memory_phases.gate({"go-on": "no"}),
    )
    return report_page(shot, None, PhaseDir(Path("/nowhere")))


def test_a_decided_phase_has_every_section() -> None:
    """Verdict, evidence, models, curves, calibration, cost, provenance; every tag that opens closes."""
    page = _decided()
    assert _read(page).open == []
    for anchor in ("criteria", "integration", "models", "curves", "calibration", "cost", "decisions", "provenance"):
        assert f'id="{anchor}"' in page


def test_the_page_links_to_the_sections_that_it_has() -> None:
    """Where nothing moved there are no boundaries to show, and without evaluations no calibration."""
    bare = replace(memory_phases.phase(PhaseState.TRAINING), evaluations={})
    for page in (_decided(), report_page(bare, None, PhaseDir(Path("/nowhere")))):
        linked = [address for address in _read(page).addresses if address.startswith("#")]
        assert linked and all(f'id="{anchor[1:]}"' in page for anchor in linked)


def test_the_page_tells_what_the_screens_tell() -> None:
    """The JER with its change and interval, the harm done to good boundaries and what that is, and whose reason is whose."""
    shot = memory_phases.phase(PhaseState.DECIDED, selection=memory_phases.selection("mlp", why="six times faster"))
    assert shot.integration is not None
    report = shot.integration.model_copy(update={"jer_before": 0.1, "jer_after": 0.09, "jer_interval": (0.05, 0.15)})
    page = unescape(report_page(replace(shot, integration=report), None, PhaseDir(Path("/nowhere"))))
    jer = "<td>JER</td><td class=n>10.00 %</td><td class=n>9.00 %</td><td class=n>-10.0 %</td><td class=n>[-15.0 %, -5.0 %]</td>"
    assert jer in page
    assert '<div class="more">-56.8 % after: [69, 78] ms; gate split, W = 1 s, recall' in page
    assert '<div class="more">12.4 % better [+9.2 %, +15.1 %]</div>' in page and "<th class=n>change</th>" in page
    assert "<th class=n>harm to good</th>" in page and "within 50 ms before, above 0 = worse" in page
    assert "mlp goes on (chosen by the person); recommended was transformer: " in page
    assert "; chosen instead: mlp, because: six times faster." in page


@pytest.mark.parametrize("gain", [1e-15, -1e-15])
def test_what_has_not_changed_has_no_minus(gain: float) -> None:
    """In the page and in the lines of a terminal."""
    shot = memory_phases.phase(PhaseState.TO_DECIDE)
    assert shot.integration is not None
    still = [one.model_copy(update={"relative": gain, "interval": (gain, gain)}) for one in shot.integration.der]
    report = shot.integration.model_copy(update={"der": still, "jer_after": shot.integration.jer_before * (1.0 - gain)})
    page = report_page(replace(shot, integration=report), None, PhaseDir(Path("/nowhere")))
    for text in (page, "\n".join(integration_table(report))):
        assert "+0.0 %" in text
        assert "-0.0 %" not in text


def test_a_recording_has_changed_where_its_figures_show_it() -> None:
    """By two decimals of a percentage, as the dashboard counts."""
    shot = memory_phases.phase(PhaseState.TO_DECIDE)
    assert shot.integration is not None
    first, second, *rest = shot.integration.recordings
    rest = [
        one.model_copy(update={"der_after": one.der_before + step}) for one, step in zip(rest, [1e-9, -4e-5] * 11, strict=True)
    ]
    first = first.model_copy(update={"der_after": first.der_before + 6e-5})
    report = shot.integration.model_copy(update={"recordings": [first, second, *rest]})
    page = report_page(replace(shot, integration=report), None, PhaseDir(Path("/nowhere")))
    assert "1 better, 1 worse, 22 unchanged of 24." in page


def test_it_loads_nothing_from_anywhere() -> None:
    """No script, no style sheet, no font: addresses are anchors or data."""
    reader = _read(_decided())
    assert not reader.tags & {"script", "link", "iframe", "object"}
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in reader.addresses)


def test_markup_in_names_and_notes_stays_text() -> None:
    """Whoever names a phase or writes a reason cannot put a script into the page."""
    page = _decided()
    assert _EVIL not in page
    assert "&lt;script&gt;" in page


def test_a_phase_that_has_just_begun_has_a_report_too() -> None:
    """It says what is missing, and which command brings it."""
    page = report_page(memory_phases.phase(), None, PhaseDir(Path("/nowhere")))
    assert _read(page).open == []
    assert "brefine integrate" in page


def test_the_criteria_are_those_of_the_integration_beside_them(tmp_path: Path) -> None:
    """A verdict of an earlier integration is judged again, even where it says the same word; a standing one is shown as filed."""
    phase = make_phase(tmp_path)
    assert "judged again" not in write_report(phase).read_text()
    filed = GateRecord.read(phase.gate)
    again = integration("mlp").model_copy(update={"unix_s": filed.unix_s + 1.0})
    figures = again.comparison.after.model_copy(update={"mae_ms": 61.5})
    comparison = again.comparison.model_copy(update={"after": figures, "intervals": {"mae_ms": (60.5, 62.5)}})
    again.model_copy(update={"comparison": comparison}).write(phase.integration)
    assert judge_phase(phase).verdict == filed.verdict
    why, earlier = judge_phase(phase).criteria[0].why, filed.criteria[0].why
    page = unescape(write_report(phase).read_text())
    assert (why != earlier, why in page, earlier in page) == (True, True, False)
    assert "judged again for this report" in page
    assert (
        "overlap scored. 4.0 of 4.0 min scored; 620 of 1,000 reference boundaries matched; 500 of 900 boundaries moved." in page
    )


@pytest.mark.parametrize("name", ["phase.toml", "gate4.json", "mlp/empty.log"])
def test_no_file_of_the_phase_is_replaced_by_its_report(tmp_path: Path, name: str) -> None:
    """Not even an empty one; an earlier report is made anew, wherever it lies."""
    phase = make_phase(tmp_path)
    (phase.path / "mlp" / "empty.log").touch()
    before = (phase.path / name).read_bytes()
    with pytest.raises(BrefineError, match="would replace the input"):
        write_report(phase, phase.path / name)
    assert (phase.path / name).read_bytes() == before
    for _ in range(2):
        assert write_report(phase, phase.path / "mine.html").read_text().startswith("<!doctype html>")


def test_a_phase_that_can_only_be_read_says_where_its_report_could_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is drawn; patched, since root writes wherever the disk lets him."""
    phase = make_phase(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryFile", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
    with pytest.raises(BrefineError, match="Read-only file system") as told:
        write_report(phase)
    assert told.value.hint == "write it elsewhere: -o FILE"


def test_the_boundaries_that_changed_most_are_chosen() -> None:
    """Helped and harmed by how much the absolute error changed; what stayed is in neither list."""
    rows = [_row(0.5, 0.1), _row(0.1, 0.4), _row(0.3, 0.0), _row(0.2, -0.2)]
    best, worst = extremes(rows, 1)
    assert best == [rows[0]]
    assert worst == [rows[1]]


def test_what_training_took_is_told_with_what_it_holds() -> None:
    """From the end of preparation to the start of evaluation: a phase that was stopped overnight did not train all that time."""
    prepared, evaluated = (memory_phases.progress(stage, "", 1, 1, state="finished") for stage in (Stage.PREPARE, Stage.EVALUATE))
    evaluated = evaluated.model_copy(update={"started_unix_s": prepared.unix_s + 120.0})
    progress = {Stage.PREPARE: prepared, Stage.EVALUATE: evaluated}
    page = report_page(memory_phases.phase(PhaseState.TO_SELECT, progress=progress), None, PhaseDir(Path("/nowhere")))
    assert "02:00 (all models at once, with any time for which they were stopped)" in page


def test_a_boundary_comes_with_its_sound(tmp_path: Path) -> None:
    """The picture reaches beyond all three places; without the audio the boundary is told all the same."""
    soundfile.write(tmp_path / "talk.wav", np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32), 16000)
    recording = CorpusRecording(
        name="talk", audio="talk.wav", reference="", hypothesis="", duration_s=3.0, regions_s=[(0.0, 3.0)], speakers=["A"]
    )
    splits = {"validation": [recording]}
    CorpusManifest(title="t", evidence="real", hypothesis_source="h", splits=splits).write(tmp_path / "corpus.json")
    audio = audio_of(tmp_path)
    found = picture(_row(0.5, -0.1), audio)
    assert found.image is not None
    assert found.start_s < 0.9
    assert found.end_s > 1.5
    assert (round(1000 * found.row.error_before_s), round(1000 * found.row.error_after_s)) == (500, -100)
    assert picture(_row(0.5, 0.0, recording="another"), audio).image is None
    assert audio_of(tmp_path / "moved") == {}


def test_ends_made_by_the_cut_of_a_recording_are_among_no_boundaries_of_the_report(tmp_path: Path) -> None:
    """They are not among those that its figures are of, however far a hypothesis was from them."""
    rows = [_row(0.5, 0.1), _row(0.9, 0.0).model_copy(update={"kind": "edge"}), _row(0.1, 0.4)]
    (tmp_path / "validation.boundaries.csv").write_text(format_rows(rows), encoding="utf-8")
    found = read_boundaries(tmp_path / "validation.boundaries.csv")
    assert [row.kind for row in found] == ["pause", "pause"]


def test_without_boundaries_on_file_there_are_none(tmp_path: Path) -> None:
    """A phase of before, or a file of another version."""
    assert read_boundaries(tmp_path / "nothing.csv") == []
    (tmp_path / "old.csv").write_text("recording,who\na,b\n", encoding="utf-8")
    assert read_boundaries(tmp_path / "old.csv") == []


def test_a_value_that_is_no_number_breaks_the_line_and_is_marked() -> None:
    """It is neither drawn as zero nor left out without a word."""
    chart = line_chart([Series("loss", "s0", [0, 1, 2, 3], [1.0, float("nan"), 2.0, 3.0])], Axis("x"), Axis("y"))
    (path,) = [piece for piece in chart.split("<path ") if piece.startswith('class="line s0"')]
    assert path.split('"/>')[0].count("M") == 2
    assert chart.count("✗") == 1


def test_empty_charts_are_charts() -> None:
    """A figure without values draws its axes."""
    assert "<svg" in line_chart([], Axis("x", "log"), Axis("y"), rules=[Rule("diagonal", "same")])
    assert "<svg" in bar_chart(["a"], [("before", "base", [None])], "ms")


def test_two_maes_of_the_same_weights_are_explained() -> None:
    """The training's own validation is another figure than evaluation's, and the gate's threshold is no line across it."""
    page = _decided()
    curves = page[page.index('id="curves"') : page.index('id="calibration"')]
    assert "the same weights have another MAE" in curves
    assert "gate:" not in curves


def test_each_training_has_its_own_count_of_parameters(tmp_path: Path) -> None:
    """It follows from the recipe's inputs, so that what `brefine models` counts may be another; none before a checkpoint."""
    phase = PhaseDir(tmp_path)
    CheckpointCard(model="mlp", n_parameters=822497, validation=None, weights_sha256="ab" * 32, config={}).write(
        phase.run("mlp").card("best")
    )
    page = report_page(memory_phases.phase(), None, phase)
    header, *rows = page[page.index("<th>training</th>") :].split("</table>")[0].split("<tr>")
    place = header.split("<th>").index("parameters</th>")
    told = {row.split("<td>")[1].removesuffix("</td>"): row.split("<td>")[place].removesuffix("</td>") for row in rows}
    assert told == {"transformer": "–", "mlp": "822,497", "contrastive": "–"}
