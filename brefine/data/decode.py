"""Decodes what libsndfile cannot: `python -m brefine.data.decode AUDIO --rate 16000` writes mono float32 samples to stdout.

`--probe` prints the length, the rate and the channels as JSON instead.
"""

from __future__ import annotations

import argparse
import json
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
    try:
        from torchcodec.decoders import AudioDecoder
    except (ImportError, RuntimeError, OSError) as error:  # torchcodec says so in its own way where it finds no ffmpeg
        raise DataError(f"torchcodec does not start: {str(error).splitlines()[0]}", hint="is ffmpeg installed?") from None
    try:
        if options.probe:
            found = AudioDecoder(options.audio).metadata
            told = {
                "duration_s": found.duration_seconds,
                "sample_rate_hz": found.sample_rate,
                "n_channels": found.num_channels,
            }
            print(json.dumps(told))
        else:
            samples = AudioDecoder(options.audio, sample_rate=options.rate, num_channels=1).get_all_samples().data
            sys.stdout.buffer.write(np.asarray(samples[0], "<f4").tobytes())
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(str(error).splitlines()[0], where=options.audio) from None


if __name__ == "__main__":
    run_main(main)
