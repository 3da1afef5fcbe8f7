"""Every place where brefine reads a file that somebody else may have written, as a function of bytes.

Each reader writes the bytes where the file would lie and reads it as the program does. It returns, or raises a `BrefineError`;
anything else is a fault. What was read is used a little, too: a value that breaks its first user was not refused in time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors import safe_open
from safetensors import torch as safetensors_torch

from brefine.config import ExampleConfig, FeatureConfig, RefineConfig, format_config, load_config, parse_config
from brefine.core.turns import Diarization, Turn
from brefine.data.download import RemoteFile, _continues
from brefine.data.feature_store import build_store, open_store
from brefine.data.system_errors import learn_system_errors, load_system_errors, replay, system_errors_to_json
from brefine.errors import BrefineError
from brefine.evaluate.calibration import read_calibration
from brefine.evaluate.evaluation import format_rows
from brefine.evaluate.hearing import read_heard, write_heard
from brefine.evaluate.movable import movable
from brefine.evaluate.moves import HeardRecording, decide_moves
from brefine.evaluate.rewriting import rewrite_rttm
from brefine.io.audio import audio_blocks, probe_audio, read_excerpt
from brefine.io.rttm import format_rttm, parse_rttm, read_diarizations
from brefine.io.textfile import read_lines_text
from brefine.io.uem import read_uem
from brefine.models import build_model
from brefine.models.reading import SCALES_S, Reading
from brefine.models.weights import Refiner, load_refiner, save_weights
from brefine.phasedir import (
    Calibration,
    CheckpointCard,
    ControlRequest,
    CorpusManifest,
    CorpusRecording,
    Document,
    JobWord,
    LockHolder,
    Manifest,
    PhaseDir,
    RunDir,
    Stage,
)
from brefine.run.alerts import alert_of_fault, alerts_of_curves
from brefine.run.batch import Batch, Item
from brefine.run.boundary_book import BoundaryBook
from brefine.run.budget import Ledger
from brefine.run.control import pending_requests
from brefine.run.decide import recommend
from brefine.run.gate_report import judge_phase
from brefine.run.gpu import NoGpu
from brefine.run.lock import is_supervised
from brefine.run.plain import PlainLines, overview
from brefine.run.report import report_page
from brefine.run.report_boundaries import extremes, read_boundaries
from brefine.run.store import PhaseStore
from brefine.run.synthetic_events import framed, scalar_payload
from brefine.run.tail.log import LogTail
from brefine.run.tail.run import RunTail
from brefine.run.watch_json import snapshot_to_json
from brefine.run.workers import models_in_training
from brefine.train.checkpoint import Checkpoints
from tests.run.records import status
from tests.run.whole_phase import RECIPE, lines, make_phase, row

_MOST_POLLS = 1000


@dataclass(frozen=True, slots=True)
class Reader:
    """One entry point.

    Attributes:
        seeds: honest files.
        read: takes a file's bytes; raises nothing but `BrefineError`.
    """

    name: str
    seeds: tuple[bytes, ...] = field(repr=False)  # long ones: a failing test tells the input alone
    read: Callable[[bytes], object] = field(repr=False)


def make_readers(folder: Path) -> dict[str, Reader]:
    """All readers, which write into `folder`."""
    makers = [_text_readers, _recipe_readers, _event_readers, _document_readers, _table_readers, _audio_readers, _torch_readers]
    found: list[Reader] = []
    for make in makers:
        own = folder / make.__name__.strip("_")
        own.mkdir()
        found += make(own)
    return {reader.name: reader for reader in found}


# --- RTTM, UEM, recipes ---------------------------------------------------------------------------------------------------


def _text_readers(folder: Path) -> list[Reader]:
    rttm, uem = folder / "a.rttm", folder / "all.uem"

    def read_turns(data: bytes) -> None:
        rttm.write_bytes(data)
        found = read_diarizations(rttm)
        again = parse_rttm(format_rttm(found.values()))
        spoken = {name: len(one.turns) for name, one in found.items() if one.turns}  # an empty file is a recording without speech
        assert {name: len(one.turns) for name, one in again.items()} == spoken
        for one in found.values():
            one.unioned().clipped(0.0, 10.0)
        unmoved = [(decide_moves(one, [], duration_s=one.end_s, config=RefineConfig()), one.end_s) for one in found.values()]
        text = read_lines_text(rttm)
        assert rewrite_rttm(text, unmoved) == text

    def read_regions(data: bytes) -> None:
        uem.write_bytes(data)
        for regions in read_uem(uem).values():
            assert all(start_s < end_s for start_s, end_s in regions)

    line = "SPEAKER talk{} 1 {:.3f} {:.3f} <NA> <NA> spk{} <NA> <NA>\n"
    turns = "".join(line.format(index % 2, 0.7 * index, 1.3, index % 3) for index in range(12))
    return [
        Reader("rttm", (turns.encode(), b";; words\nSPKR-INFO t 1 <NA> <NA> <NA> unknown s <NA>\n" + turns.encode()), read_turns),
        Reader("uem", (b"talk0 1 0.000 60.000\ntalk1 1 3.5 9.25\ntalk1 1 9 12\n",), read_regions),
    ]


def _recipe_readers(folder: Path) -> list[Reader]:
    path = folder / "recipe.toml"
    configs = Path(__file__).parents[2] / "configs"

    def read_recipe(data: bytes) -> None:
        path.write_bytes(data)
        config = load_config(path)
        assert parse_config(format_config(config), where="written again") == config

    def read_override(data: bytes) -> None:
        config = parse_config(RECIPE, where="recipe", overrides=[data.decode("utf-8", errors="surrogateescape")])
        format_config(config).encode()

    overrides = (
        b"train.lr=1e-3",
        b'corpus.root="x"',
        b"models.mlp.epochs=3",
        b"budget.priced_on=2026-01-01",
        b"executor.directives.q=1",
    )
    return [
        Reader("recipe", tuple((configs / name).read_bytes() for name in ("demo.toml", "phase3.toml")), read_recipe),
        Reader("override", overrides, read_override),
    ]


# --- event files and logs -------------------------------------------------------------------------------------------------


def _event_readers(folder: Path) -> list[Reader]:
    path = folder / "run" / "events.out.tfevents.1.fuzz"
    path.parent.mkdir()
    log = folder / "train.log"

    def read_events(data: bytes) -> None:
        path.write_bytes(data)
        tail = RunTail(path.parent)
        for _ in range(_MOST_POLLS):
            if not tail.poll():
                break
        else:
            raise AssertionError("the tailer never says that it is through")
        curves = tail.curves()
        assert all(np.all(np.diff(curve.steps) > 0) for curve in curves.values())
        alerts_of_curves("mlp", curves.values())
        [alert_of_fault("mlp", fault, 0.0).to_json() for fault in tail.faults]

    def read_log(data: bytes) -> None:
        log.write_bytes(data)
        assert all(line.isprintable() for line in LogTail(log).poll())

    head = b"\x09" + bytes(8) + b"\x1a\x0dbrain.Event:2"
    scalars = [
        scalar_payload(tag, step, 1.0 / step, 1e9 + step) for step in range(1, 40) for tag in ("train/loss", "validation/mae_ms")
    ]
    start = b"\x09" + bytes(8) + b"\x10\x05\x3a\x02\x08\x01"
    return [
        Reader("events", (b"".join(map(framed, [head, *scalars, start, *scalars[20:]])),), read_events),
        # The checksums hold here: what a damaged writer means, not what a damaged disk makes of it.
        Reader("event-records", (scalars[0], start, head), lambda data: read_events(framed(data) * 30 + framed(scalars[-1]))),
        Reader("log", (b"epoch 1/5: loss 1.2\nhalf\rwhole\n\x1b[31mred\x1b[0m\n", "é→\u202e\n".encode()), read_log),
    ]


# --- documents of a phase directory -----------------------------------------------------------------------------------------


def _document_readers(folder: Path) -> list[Reader]:
    phase = make_phase(folder)
    scratch = folder / "document.json"

    def as_document(kind: type[Document]) -> Callable[[bytes], None]:
        def read(data: bytes) -> None:
            scratch.write_bytes(data)
            json.dumps(kind.read(scratch).to_json(), allow_nan=False)

        return read

    listed = CorpusRecording(
        name="r", audio="a.wav", reference="r", hypothesis="h", duration_s=9.0, regions_s=[(0, 9)], speakers=["s"]
    )
    corpus = CorpusManifest(
        title="t", evidence="real", hypothesis_source="vbx",
        splits={"gate": [listed]},
    )  # fmt: skip
    card = CheckpointCard(
        model="mlp", n_parameters=5, validation=None, weights_sha256="00", config={"features": {}}, prior={"scale_s": 0.1}
    )
    process = status("mlp").process
    batch = Batch(command="refine", options=["--device", "cpu"], n_shares=2, key="k", items=[Item(audio="a", rttm=None, out="o")])
    request = ControlRequest(action="pause", model="mlp", unix_s=1e9)
    alone = {
        "corpus": corpus,
        "card": card,
        "batch": batch,
        "lock-holder": LockHolder(process=process),
        "job-word": JobWord(job_id="7", restarts=0, process=process, unix_s=1e9),
    }
    found = [Reader(name, (lines(one),), as_document(type(one))) for name, one in alone.items()]

    def read_control(data: bytes) -> None:
        (phase.control / "1-stop.json").write_bytes(data)
        for _, wish in pending_requests(phase):
            str(wish)

    ledger = folder / "ledger.jsonl"

    def read_ledger(data: bytes) -> None:
        ledger.write_bytes(data)
        account = Ledger(ledger).read()
        assert np.isfinite(account.spent_usd())
        assert all(np.isfinite(spent_usd) for _, spent_usd in account.spent_by_phase_usd())

    Ledger(ledger).tick(session := Ledger(ledger).open_session(folder, 2.0, 1e9), 1e9 + 60)
    Ledger(ledger).correct(-0.5, f"a note on {session}", 1e9)
    note = {"url": "http://x/y", "size_bytes": 100, "version": "1"}

    def read_note(data: bytes) -> None:
        scratch.write_bytes(data)
        _continues(scratch, RemoteFile("http://x/y", 100, "1"))

    found += [
        Reader("control", (lines(request),), read_control),
        Reader("ledger", (ledger.read_bytes(),), read_ledger),
        Reader("download-note", (json.dumps(note).encode(),), read_note),
    ]
    for name, path in {
        "manifest": phase.manifest,
        "supervisor": phase.supervisor,
        "status": phase.run("mlp").status,
        "progress": phase.progress(Stage.PREPARE),
        "evaluation": phase.evaluation("mlp", "validation"),
        "selection": phase.selection,
        "integration": phase.integration,
        "gate": phase.gate,
        "alerts": phase.alerts,
        "decisions": phase.decisions,
        "looks": phase.looks,
        "verdicts": phase.verdicts,
        "job": phase.job("mlp"),
    }.items():
        found.append(Reader(name, (path.read_bytes(),), _in_phase(phase, path)))
    return found


def _in_phase(phase: PhaseDir, path: Path) -> Callable[[bytes], None]:
    """Puts the bytes into a phase that is whole otherwise, and looks at it in every way that there is without a terminal."""
    whole = path.read_bytes()
    store = PhaseStore(phase.path, gpus=NoGpu("none"))  # as a dashboard does, it reads again what has changed

    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            snapshot = store.snapshot(drain=True)
            json.dumps(snapshot_to_json(snapshot), allow_nan=False)
            overview(snapshot)
            PlainLines().of(snapshot)
            is_supervised(phase)  # the words are of this very process, so that it is looked for
            models_in_training(phase)
            if zlib.crc32(data) % 8:  # the rest takes ten times as long
                return
            with contextlib.suppress(BrefineError):  # the page needs the manifest, the gate the rest: each is a reader alone
                page = report_page(snapshot, Manifest.read_if_there(phase.manifest), phase)
                assert "\x1b" not in page
            with contextlib.suppress(BrefineError):
                recommend(phase)
            judge_phase(phase)
        finally:
            path.write_bytes(whole)

    return read


# --- tables -----------------------------------------------------------------------------------------------------------------


def _table_readers(folder: Path) -> list[Reader]:
    phase = PhaseDir(folder)
    table, posteriors = phase.boundaries("mlp", "validation"), phase.posteriors("mlp", "validation")
    table.parent.mkdir(parents=True)
    rows = [row(0.5 * index) for index in range(6)]
    book = BoundaryBook(phase)

    def read_table(data: bytes) -> None:
        table.write_bytes(data)
        extremes(read_boundaries(table))
        book.rows("mlp")

    def read_posteriors(data: bytes) -> None:
        posteriors.write_bytes(data)
        drawn, _ = book._posterior("mlp", rows[0], 0.0, 80)
        assert drawn is None or drawn.shape == (80,)

    arrays = {
        "recording": np.array(["r"] * 2),
        "speaker": np.array(["s"] * 2),
        "side": np.array(["onset"] * 2),
        "hypothesis_s": np.array([0.2, 0.7]),
        "start_s": np.array([0.0, 0.5]),
        "hop_s": np.float64(0.01),
        "probability": np.full((2, 40), 0.025, np.float16),
    }
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    return [
        Reader("boundaries", (format_rows(rows).encode(),), read_table),
        Reader("posteriors", (archive.getvalue(),), read_posteriors),
    ]


# --- audio --------------------------------------------------------------------------------------------------------------------


def _audio_readers(folder: Path) -> list[Reader]:
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal((400, 2))).astype(np.float32)

    def encoded(kind: str, subtype: str, rate_hz: int) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
        return file.getvalue()

    def reader(name: str, seeds: list[bytes]) -> Reader:
        path = folder / f"a.{name}"

        def read(data: bytes) -> None:
            path.write_bytes(data)
            info = probe_audio(path)
            read_excerpt(path, start_s=info.duration_s / 2 - 0.01, duration_s=0.02)
            n_read = sum(len(block) for block in audio_blocks(path))
            assert n_read <= 2 + info.duration_s * 16000 + len(data) * 400

        return Reader(name, tuple(seeds), read)

    wav = [encoded("WAV", "PCM_16", 16000), encoded("WAV", "FLOAT", 44100), encoded("WAVEX", "PCM_24", 8000)]
    return [
        reader("wav", wav),
        reader("flac", [encoded("FLAC", "PCM_16", 16000), encoded("FLAC", "PCM_24", 48000)]),
        reader("ogg", [encoded("OGG", "VORBIS", 16000)]),
        reader("mp3", [encoded("MP3", "MPEG_LAYER_III", 16000)]),
    ]


# --- what the torch half reads ------------------------------------------------------------------------------------------------

_FEATURES, _EXAMPLES = FeatureConfig(n_mels=20, hop_s=0.02), ExampleConfig(context_s=0.5)


def _torch_readers(folder: Path) -> list[Reader]:
    torch.set_num_threads(1)
    return [*_checkpoint_readers(folder), *_weights_readers(folder), *_corpus_readers(folder)]


def _checkpoint_readers(folder: Path) -> list[Reader]:
    run = RunDir(folder / "mlp")
    run.checkpoints.mkdir(parents=True)
    checkpoints = Checkpoints(run, "fingerprint")

    def pack(payload: bytes) -> bytes:
        outer = io.BytesIO()
        digest, tensor = hashlib.sha256(payload).hexdigest(), torch.frombuffer(bytearray(payload or b"\0"), dtype=torch.uint8)
        torch.save({"schema": 1, "fingerprint": "fingerprint", "sha256": digest, "payload": tensor}, outer)
        return outer.getvalue()

    def read(data: bytes) -> None:
        run.training_state.write_bytes(data)
        checkpoints.load()

    inner = io.BytesIO()
    torch.save({"model": {"w": torch.zeros(3)}, "step": 3, "last": None}, inner)
    return [
        Reader("checkpoint", (pack(inner.getvalue()),), read),
        Reader("checkpoint-payload", (inner.getvalue(),), lambda data: read(pack(data))),
    ]


def _weights_readers(folder: Path) -> list[Reader]:
    path, kept, calibration = folder / "w.safetensors", folder / "heard.safetensors", folder / "calibration.json"
    state = build_model("mlp", _FEATURES, _EXAMPLES).state_dict()
    small = {name: tensor for name, tensor in state.items() if tensor.numel() < 20}
    save_weights(path, "mlp", small, _FEATURES, _EXAMPLES)
    seed = path.read_bytes()
    save_weights(path, "mlp", state, _FEATURES, _EXAMPLES)
    refiner: Refiner = load_refiner(path)
    with safe_open(path, framework="pt") as file:
        card = file.metadata()["brefine_card"].encode()

    def read(data: bytes) -> None:
        path.write_bytes(data)
        CheckpointCard.in_weights(path)
        load_refiner(path)

    def read_card(data: bytes) -> None:
        """The card alone is hostile: its text stands in a file that is sound."""
        read(safetensors_torch.save(small, {"brefine_card": data.decode("utf-8", errors="replace")}))

    hypothesis = Diarization("r", (Turn(1.0, 2.0, "s"), Turn(2.5, 4.0, "t")))
    boundaries = movable(hypothesis, 5.0)
    n = len(boundaries)
    reading = Reading(
        ratio_BT=torch.ones(n, 50),
        there_B=torch.full((n,), 0.9),
        onset_B=torch.ones(n, dtype=torch.bool),
        change_B=torch.zeros(n, dtype=torch.bool),
        centre_B=torch.zeros(n),
        worth_B=torch.ones(n),
        beyond_BR=torch.zeros(n, 25),
        hop_s=0.02,
    )
    write_heard(kept, "key", HeardRecording(hypothesis, 5.0, boundaries, reading))
    Calibration(
        weights_sha256=refiner.card.weights_sha256, scales_s=list(SCALES_S), weights=[1.0 / len(SCALES_S)] * len(SCALES_S),
        habit_s=(0, 0), margin_s=(0, 0), doubt=0.1, n_recordings=1, n_boundaries=9, mae_before_ms=9.0, mae_after_ms=5.0,
    ).write(calibration)  # fmt: skip
    heard_seed, calibration_seed = kept.read_bytes(), calibration.read_bytes()

    def read_kept(data: bytes) -> None:
        kept.write_bytes(data)
        read_heard(kept, "key", hypothesis, 5.0)

    def read_constants(data: bytes) -> None:
        calibration.write_bytes(data)
        read_calibration(calibration, refiner)

    return [
        Reader("weights", (seed,), read),
        Reader("weights-card", (card,), read_card),
        Reader("heard", (heard_seed,), read_kept),
        Reader("calibration", (calibration_seed,), read_constants),
    ]


def _corpus_readers(folder: Path) -> list[Reader]:
    audio, errors_path = folder / "r.wav", folder / "errors.json"
    soundfile.write(audio, np.zeros(16000, np.float32), 16000)
    build_store(folder / "features", {"r": audio}, _FEATURES)
    index = folder / "features" / "log_mel.json"
    reference = Diarization("r", tuple(Turn(1.5 * i, 1.5 * i + 1.2, f"s{i % 3}") for i in range(120)))
    moved = Diarization("r", tuple(Turn(turn.onset_s + 0.1, turn.offset_s + 0.05, turn.speaker) for turn in reference.turns))
    learned = system_errors_to_json(learn_system_errors([(reference, moved)], source="fuzz"))
    seeds = (json.dumps(learned).encode(),)
    index_seed = index.read_bytes()

    def read_index(data: bytes) -> None:
        index.write_bytes(data)
        store = open_store(folder / "features", _FEATURES)
        for name in store.spans:
            np.asarray(store[name], np.float32).sum()

    def read_errors(data: bytes) -> None:
        errors_path.write_bytes(data)
        errors = load_system_errors(str(errors_path))
        replay(errors, Diarization("r", reference.turns[:6]), duration_s=10.0, rng=np.random.default_rng(0))

    return [Reader("features-index", (index_seed,), read_index), Reader("system-errors", seeds, read_errors)]
