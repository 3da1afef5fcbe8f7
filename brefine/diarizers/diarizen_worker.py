"""What runs inside the user's DiariZen environment: imports DiariZen and the standard library, never brefine.

    python diarizen_worker.py check RESULT.json
    python diarizen_worker.py serve MODEL FOLDER

`check` writes what is installed and what is missing. `serve` loads the pipeline once and then answers requests, one JSON line
each on stdin: `{"audio": PATH, "answer": PATH}`. It answers through files alone, since DiariZen prints to stdout as it likes:
`FOLDER/progress.json` (what is being done), `FOLDER/ready` (the model is loaded), and for each request its answer:
`{"turns": [[onset_s, offset_s, speaker], …], "votes": …}` or `{"error": …}`.

A chunk votes that a speaker is active in a frame; about ten chunks cover a frame. The share of them that agree is a confidence
that the pipeline computes anyway and throws away.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchaudio", "numpy", "setuptools", "pyannote.audio", "diarizen")
EMBEDDING = ("pyannote/wespeaker-voxceleb-resnet34-LM", "pytorch_model.bin")


def main() -> int:
    # This file's folder holds modules with the names of packages that are imported below, so it must not be searched.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
    if sys.argv[1] == "check":
        write(Path(sys.argv[2]), check())
        return 0
    return serve(sys.argv[2], Path(sys.argv[3]))


def check() -> dict[str, Any]:
    """Versions of the packages that DiariZen needs, and the error of its import, if it fails."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = importlib.util.find_spec(name.partition(".")[0]) is not None and "." not in name
            versions[name] = "unknown" if found else None
    error, fork = None, None
    if all(versions[name] for name in ("torch", "numpy", "pyannote.audio", "diarizen")):
        try:
            importlib.import_module("diarizen.pipelines.inference")
            pipelines = importlib.import_module("pyannote.audio.pipelines")
            fork = "seg_duration" in inspect.signature(pipelines.SpeakerDiarization.__init__).parameters
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
    return {"python": ".".join(map(str, sys.version_info[:3])), "versions": versions, "fork": fork, "error": error}


def serve(model: str, folder: Path) -> int:
    """Answers requests until stdin ends."""
    tell = progress_writer(folder / "progress.json")
    try:
        pipeline, seen = load(model, tell)
    except Exception as failure:
        traceback.print_exc()
        write(folder / "failed.json", {"error": f"{type(failure).__name__}: {failure}"})
        return 1
    write(folder / "ready", {})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = diarize(pipeline, seen, request["audio"])
        except Exception as failure:
            traceback.print_exc()
            answer = {"error": f"{type(failure).__name__}: {failure}"}
        write(Path(request["answer"]), answer)
    return 0


def load(model: str, tell: Callable[[str, int, int], None]) -> tuple[Any, dict[str, Any]]:
    """The pipeline of a hub id or of a local folder, with its steps watched; and the dictionary that will hold its votes."""
    tell("loading DiariZen", 0, 1)
    pipeline_class = importlib.import_module("diarizen.pipelines.inference").DiariZenPipeline
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 (as `io.folders.from_home`: no error where there is no home)
    if folder.is_dir():
        pipeline = pipeline_class(diarizen_hub=folder.absolute(), embedding_model=embedding_of(folder))
    else:
        hub = importlib.import_module("huggingface_hub")
        if not isinstance(hub.try_to_load_from_cache(model, "config.toml"), str):
            tell(f"downloading {model} (weights CC BY-NC 4.0: not for commercial use)", 0, 1)
        pipeline = pipeline_class.from_pretrained(model)
    return pipeline, watch(pipeline, tell)


def embedding_of(folder: Path) -> str:
    """The speaker embedding in a local hub folder, or the one that DiariZen takes from the hub.

    DiariZen's fork infers the kind of an embedding from its path, which must have "pyannote" in it for one of pyannote's.
    """
    own = folder.absolute() / "pyannote-embedding" / EMBEDDING[1]
    if own.is_file():
        return str(own)
    hub = importlib.import_module("huggingface_hub")
    cached = hub.try_to_load_from_cache(*EMBEDDING)
    return cached if isinstance(cached, str) else str(hub.hf_hub_download(*EMBEDDING))


def watch(pipeline: Any, tell: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Makes the pipeline's steps report their progress, and keeps the votes that it computes and drops."""
    seen: dict[str, Any] = {}
    segment, embed, rebuild = pipeline.get_segmentations, pipeline.get_embeddings, pipeline.reconstruct

    def told(step: str) -> Callable[..., None]:
        return lambda *_, completed=0, total=1, **__: tell(step, int(completed or 0), int(total or 1))

    def segmenting(*arguments: Any, **options: Any) -> Any:
        return segment(*arguments, **{"hook": told("finding who speaks in each chunk"), **options})

    def embedding(*arguments: Any, **options: Any) -> Any:
        found = embed(*arguments, **{"hook": told("reading the voices"), **options})
        tell("telling the voices apart", 0, 1)
        return found

    def rebuilding(segmentations: Any, *arguments: Any, **options: Any) -> Any:
        rebuilt = rebuild(segmentations, *arguments, **options)
        if isinstance(rebuilt, tuple) and len(rebuilt) > 1:
            seen["votes"], seen["chunks"] = rebuilt[1], segmentations
        return rebuilt

    pipeline.get_segmentations, pipeline.get_embeddings, pipeline.reconstruct = segmenting, embedding, rebuilding
    return seen


def diarize(pipeline: Any, seen: dict[str, Any], audio: str) -> dict[str, Any]:
    """One recording's turns and votes."""
    seen.clear()
    annotation = pipeline(audio, sess_name="recording")
    turns = [[float(turn.start), float(turn.end), str(label)] for turn, _, label in annotation.itertracks(yield_label=True)]
    return {"turns": turns, "votes": votes_of(seen) if "votes" in seen else None}


def votes_of(seen: dict[str, Any]) -> dict[str, Any]:
    """The share of a frame's chunks in which each speaker is active, and where the frames are.

    Frame k is centred at `first_s + k * step_s`. Speaker k of the votes is labelled k in the annotation; if more speakers were
    counted than told apart, the last ones have no votes.
    """
    votes, chunks = seen["votes"], seen["chunks"]
    frames, windows = votes.sliding_window, chunks.sliding_window
    first_s = frames.start + frames.duration / 2
    n_chunks, shares = len(chunks.data), []
    for place, row in enumerate(votes.data.tolist()):
        centre_s = first_s + place * frames.step
        last = min(n_chunks - 1, int((centre_s - windows.start) / windows.step))
        first = max(0, -int(-(centre_s - windows.start - windows.duration) // windows.step))
        covering = max(1, last - first + 1)
        shares.append([round(min(1.0, vote / covering), 3) for vote in row])
    return {"first_s": first_s, "step_s": frames.step, "shares": shares}


def progress_writer(path: Path) -> Callable[[str, int, int], None]:
    def tell(step: str, done: int, total: int) -> None:
        write(path, {"step": step, "done": done, "total": total})

    return tell


def write(path: Path, document: Any) -> None:
    """Replaces the file at once, so that nobody reads half of it."""
    half = path.with_name(f".{path.name}.tmp")
    half.write_text(json.dumps(document), encoding="utf-8")
    os.replace(half, path)  # noqa: PTH105


if __name__ == "__main__":
    sys.exit(main())
