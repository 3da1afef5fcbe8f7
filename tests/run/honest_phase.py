"""A phase that passes gate 4 by right: twenty real recordings, whole files, weights that were selected and integrated."""

from __future__ import annotations

from pathlib import Path

from brefine.config import PhaseConfig, format_config, parse_config, prepared_corpus_path
from brefine.core.turns import Diarization, Turn
from brefine.io.atomic import digest_of_files, write_text_atomic
from brefine.io.rttm import write_rttm
from brefine.phasedir import (
    AudioFile,
    CheckpointCard,
    CorpusManifest,
    CorpusRecording,
    Look,
    LookedAt,
    Manifest,
    PhaseDir,
    Scored,
)
from brefine.run.decide import choose
from tests.run.records import WEIGHTS_SHA256, evaluation, integration

RECIPE = """
schema = 1
name = "honest"
[corpus]
kind = "folder"
root = "{root}"
train = "train"
gate = "gate"
[hypothesis]
source = "folder"
[models.transformer]
[models.mlp]
"""


class HonestPhase:
    """`phase` and the prepared corpus at `corpus`, which tests then spoil. Made by `make`, or found at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.phase = PhaseDir(folder / "20261126T000000Z-honest")
        self.config: PhaseConfig = parse_config(RECIPE.format(root=folder / "data"), where="honest")
        self.corpus = prepared_corpus_path(self.config)
        self.phase.path.mkdir(parents=True, exist_ok=True)
        self.phase.config.write_text(format_config(self.config))

    def make(self) -> None:
        self.prepare()
        self.launch()
        for model, mae_ms in (("transformer", 120.0), ("mlp", 90.0)):
            self.train(model)
            evaluation(model, mae_ms, evidence="real").write(self.phase.evaluation(model, "validation"))
        choose(self.phase)
        self.integrate()

    def prepare(self, **marks: bool) -> None:
        """Writes the prepared corpus: names, turns, splits.

        Args:
            marks: of the gate's recordings: `simulated` or `replayed`.
        """
        splits: dict[str, list[CorpusRecording]] = {}
        for split, prefix, n in (("train", "t", 2), ("validation", "v", 2), ("gate", "g", 24)):
            splits[split] = []
            for name in (f"{prefix}{index}" for index in range(n)):
                for kind, turn in (("reference", Turn(1.0, 4.0, "A")), ("hypothesis", Turn(0.995, 4.1, "A"))):
                    write_rttm(self.corpus / split / kind / f"{name}.rttm", Diarization(name, (turn,)))
                paths = {kind: f"{split}/{kind}/{name}.rttm" for kind in ("reference", "hypothesis")}
                audio = f"{split}/audio/{name}.wav"
                write_text_atomic(self.corpus / audio, f"what is heard in {name}")
                splits[split].append(
                    CorpusRecording(
                        name=name,
                        audio=audio,
                        duration_s=10.0,
                        regions_s=[(0.0, 10.0)],
                        speakers=["A"],
                        labels_sha256=self._labels_sha256(paths) if split == "gate" else None,
                        audio_file=AudioFile.of(self.corpus / audio),
                        **paths,
                        **(marks if split == "gate" else {}),
                    )
                )
        manifest = CorpusManifest(title="train→gate", evidence="real", hypothesis_source="a diarizer", splits=splits)
        manifest.write(self.corpus / "corpus.json")
        self.refine(4.075)

    def _labels_sha256(self, paths: dict[str, str]) -> str:
        return digest_of_files([self.corpus / paths[kind] for kind in ("reference", "hypothesis")])

    def prepared_anew(self) -> None:
        """corpus.json of the labels that lie there now."""
        manifest = CorpusManifest.read(self.corpus / "corpus.json")
        gate = [
            one.model_copy(update={"labels_sha256": self._labels_sha256(one.model_dump(include={"reference", "hypothesis"}))})
            for one in manifest.splits["gate"]
        ]
        manifest.model_copy(update={"splits": {**manifest.splits, "gate": gate}}).write(self.corpus / "corpus.json")

    def refine(self, offset_s: float) -> None:
        """Refined turns of which each ends here; the reference's end at 4 s, the hypothesis's at 4.1 s."""
        for index in range(24):
            path = self.phase.refined / f"g{index}.rttm"
            write_rttm(path, Diarization(path.stem, (Turn(1.0, offset_s, "A"),)))

    def launch(self) -> None:
        Manifest(
            phase=self.phase.path.name,
            created_unix_s=900.0,
            argv=["launch-phase3"],
            git_commit="0123456789ab",
            git_dirty=False,
            versions={"brefine": "0.1.0"},
            seed=0,
            models=["transformer", "mlp"],
            corpus=str(self.corpus),
            price_usd_per_hour=0.0,
            priced_on=None,
            gate=self.config.gate.model_dump(mode="json"),
        ).write(self.phase.manifest)

    def train(self, model: str, weights_sha256: str = WEIGHTS_SHA256, corpus_sha256: str | None = None) -> None:
        """The card of its best checkpoint."""
        card = CheckpointCard(
            model=model,
            n_parameters=1,
            validation=None,
            weights_sha256=weights_sha256,
            config={},
            corpus_sha256=corpus_sha256 or self.fingerprint(),
        )
        card.write(self.phase.run(model).card("best"))

    def integrate(self, model: str = "mlp", **changes: object) -> None:
        """integration.json of what lies there now."""
        manifest = CorpusManifest.read(self.corpus / "corpus.json")
        own = {
            "trained_corpus_sha256": self.fingerprint(),
            "corpus_sha256": self.fingerprint(),
            "turns_sha256": digest_of_files(self.phase.gate_turns(self.corpus, manifest)),
            "looked_at": self.looked_at(),
            "alike": manifest.alike,
            "looks": [Look(model=model, weights_sha256=WEIGHTS_SHA256, refine={}, unix_s=1000.0)],
            "scored": Scored(audio_s=240.0, scored_s=240.0, n_boundaries=48, n_moved=24),
        }
        report = integration(model).model_copy(update={**own, **changes})
        if report.looks:
            self.phase.record_look(report.looks[-1], report.looked_at)
        report.write(self.phase.integration)

    def looked_at(self) -> list[LookedAt]:
        """The gate split as it lies there now."""
        return [
            LookedAt(
                name=one.name,
                duration_s=one.duration_s,
                audio_sha256=None if one.audio_file is None else one.audio_file.sha256,
                reference_sha256=digest_of_files([self.corpus / one.reference]),
                hypothesis_sha256=digest_of_files([self.corpus / one.hypothesis]),
            )
            for one in CorpusManifest.read(self.corpus / "corpus.json").splits["gate"]
        ]

    def fingerprint(self) -> str:
        return CorpusManifest.read(self.corpus / "corpus.json").fingerprint()

    def edit(self, path: Path, old: str, new: str) -> None:
        """Changes a file by hand."""
        text = path.read_text()
        assert text.count(old) >= 1, old
        path.write_text(text.replace(old, new, 1))
