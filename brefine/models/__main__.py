"""Prints the architectures and their parameter counts: `python -m brefine.models [--json]`."""

from __future__ import annotations

import argparse
import json

from brefine.config import MODEL_NAMES, ExampleConfig, FeatureConfig
from brefine.errors import run_main
from brefine.models import build_model, count_parameters


def main() -> None:
    """Prints one line, or one JSON object, for each model, counted for a recipe's default inputs."""
    parser = argparse.ArgumentParser(prog="python -m brefine.models", description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    features, examples = FeatureConfig(), ExampleConfig()
    counts = [{"name": name, "parameters": count_parameters(build_model(name, features, examples))} for name in MODEL_NAMES]
    lines = [f"{one['name']:<12}{one['parameters']:>10,} parameters" for one in counts]
    lines.append(
        f"for features.n_mels = {features.n_mels}, hop_s = {features.hop_s:g}, speech = {json.dumps(features.speech)}, "
        f"pitch = {json.dumps(features.pitch)}, and examples.context_s = {examples.context_s:g}; a phase's own: brefine report"
    )
    print(json.dumps(counts) if as_json else "\n".join(lines))


if __name__ == "__main__":
    run_main(main)
