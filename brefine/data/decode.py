"""Decodes what libsndfile cannot: `python -m brefine.data.decode AUDIO --rate 16000` writes mono float32 samples to stdout.

`--probe` prints the length, the rate and the channels as JSON instead. What the libraries print goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

import numpy as np

from brefine.errors import DataError, run_main


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m brefine.data.decode", description=__doc__)
    parser.add_argument("audio")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--rate", type=int, help="sampling rate of the output, Hz")
    what.add_argument("--probe", action="store_true")
    options = parser.parse_args()
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        from torchcodec.decoders import AudioDecoder
    except (ImportError, RuntimeError, OSError) as error:  # what torchcodec raises without ffmpeg varies
        raise DataError(f"torchcodec does not start: {_first_line(error)}", hint="is ffmpeg installed?") from None
    try:
        if options.probe:
            found = AudioDecoder(options.audio).metadata
            told = {
                "duration_s": found.duration_seconds,
                "sample_rate_hz": found.sample_rate,
                "n_channels": found.num_channels,
            }
            answer.write(json.dumps(told).encode())
        else:
            samples = AudioDecoder(options.audio, sample_rate=options.rate, num_channels=1).get_all_samples().data
            answer.write(np.asarray(samples[0], "<f4").tobytes())
        answer.flush()
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(_first_line(error), where=options.audio) from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)  # not every exception has a message


if __name__ == "__main__":
    run_main(main)
