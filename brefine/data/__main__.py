"""Prepares corpora, and learns the numbers from which they are simulated.

python -m brefine.data prepare configs/demo.toml
python -m brefine.data errors --reference DIR --hypothesis DIR -o FILE
python -m brefine.data errors --reference DIR --hypothesis DIR --check
python -m brefine.data turn-taking --reference DIR -o FILE
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path

from brefine.config import load_config
from brefine.errors import DataError, one_line, run_main, terminated_as_interrupted


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m brefine.data", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    prepare = commands.add_parser("prepare", help="make a recipe's corpus: audio, labels, hypotheses, features, summary")
    prepare.add_argument("recipe", type=Path, help="phase.toml, or a recipe from configs/")
    prepare.add_argument("--progress", type=Path, help="progress file to write; without it, lines on stderr")
    prepare.add_argument(
        "--out", type=Path, help="folder of the prepared corpus; default: named after the settings, under corpus.root"
    )
    prepare.add_argument("--audio-from", type=Path, help="kind = voxconverse: folder with audio that was downloaded before")
    prepare.add_argument("--processes", type=int, help="worker processes; default: one a core")
    prepare.add_argument("--part", metavar="K/N", help="make the Kth of N shares alone, for a later call without it")
    prepare.add_argument("--json", action="store_true", help="print the summary as JSON")
    prepare.set_defaults(run=_prepare)

    errors = commands.add_parser("errors", help="learn what a diarizer gets wrong from its output and the references")
    errors.add_argument("--reference", type=Path, required=True, help="folder of RTTMs")
    errors.add_argument("--hypothesis", type=Path, required=True, help="folder of RTTMs with the same recordings")
    errors.add_argument("--source", help="a word on where they come from; default: the hypothesis folder's name")
    errors.add_argument("-o", "--out", type=Path, help="summary to write: hypothesis.errors of a recipe")
    errors.add_argument("--check", action="store_true", help="learn from halves, replay on the others, and compare")
    errors.add_argument("--json", action="store_true", help="print the check as JSON")
    errors.set_defaults(run=_learn_errors)

    turns = commands.add_parser("turn-taking", help="measure turn lengths, pauses and overlaps of references")
    turns.add_argument("--reference", type=Path, required=True, help="folder of RTTMs")
    turns.add_argument("--source", help="a word on where they come from; default: the folder's name")
    turns.add_argument("-o", "--out", type=Path, required=True)
    turns.set_defaults(run=_learn_turn_taking)

    arguments = parser.parse_args()
    if arguments.run is _learn_errors and arguments.out is None and not arguments.check:
        errors.error("-o FILE, --check, or both")
    arguments.run(arguments)


def _prepare(arguments: argparse.Namespace) -> None:
    from brefine.data.prepare import prepare, prepare_part
    from brefine.data.progress import ProgressReporter
    from brefine.data.summary import format_summary
    from brefine.io.atomic import read_json
    from brefine.phasedir import SUMMARY_FILE, Stage

    if arguments.part is not None:
        index, _, n_parts = arguments.part.partition("/")
        prepare_part(load_config(arguments.recipe), index=int(index), n_parts=int(n_parts), n_processes=arguments.processes)
        return
    by_hand = arguments.progress is None
    lines = sys.stderr if by_hand else None
    # a supervisor starts a preparation again that a signal has ended, but not one that ends with an exit code
    stopped = terminated_as_interrupted() if by_hand else nullcontext()
    with stopped, ProgressReporter(arguments.progress, Stage.PREPARE, lines=lines) as report:
        folder = prepare(
            load_config(arguments.recipe),
            out=arguments.out,
            audio_from=arguments.audio_from,
            n_processes=arguments.processes,
            on_progress=report,
        )
    summary = read_json(folder / SUMMARY_FILE)
    if arguments.json:
        print(json.dumps({"folder": str(folder), **summary}, indent=1))
    else:
        print(f"{one_line(folder)}\n\n{format_summary(summary)}")


def _learn_errors(arguments: argparse.Namespace) -> None:
    from brefine.data.replay_check import check_replay, format_check
    from brefine.data.system_errors import learn_system_errors, system_errors_to_json
    from brefine.io.atomic import write_text_atomic
    from brefine.io.rttm import read_diarizations

    references, hypotheses = read_diarizations(arguments.reference), read_diarizations(arguments.hypothesis)
    missing = sorted(references.keys() ^ hypotheses.keys())
    if missing:
        problems = [f"{name}: no {'hypothesis' if name in references else 'reference'}" for name in missing]
        raise DataError("recordings lack a partner", problems=problems, hint="both folders must hold the same recordings")
    pairs = [(references[name], hypotheses[name]) for name in sorted(references)]
    if arguments.check:
        check = check_replay(pairs)
        print(json.dumps(check, indent=1) if arguments.json else format_check(check))
    if arguments.out is None:
        return
    learned = learn_system_errors(pairs, source=arguments.source or arguments.hypothesis.name)
    write_text_atomic(arguments.out, json.dumps(system_errors_to_json(learned), separators=(",", ":"), ensure_ascii=False) + "\n")
    print(f"{one_line(arguments.out)}: {len(learned.starts)} boundaries of {len(pairs)} recordings", file=sys.stderr)


def _learn_turn_taking(arguments: argparse.Namespace) -> None:
    from brefine.data.turn_taking import learn_turn_taking, turn_taking_to_json
    from brefine.io.atomic import write_text_atomic
    from brefine.io.rttm import read_diarizations

    references = read_diarizations(arguments.reference)
    try:
        learned = learn_turn_taking(list(references.values()))
    except ValueError as error:
        raise DataError(str(error), where=arguments.reference) from None
    summary = turn_taking_to_json(learned, source=arguments.source or arguments.reference.name)
    write_text_atomic(arguments.out, json.dumps(summary, ensure_ascii=False) + "\n")
    print(f"{one_line(arguments.out)}: {len(learned.styles)} recordings")


if __name__ == "__main__":
    run_main(main)
