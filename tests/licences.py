"""The licences of what brefine installs: `python -m tests.licences` writes docs/licences.md from the installed packages."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[1] / "docs" / "licences.md"
EXTRAS = ("voices", "pyannote", "apprise", "serve")
_PREFIX = "License :: "
_NOT_PINNED = ("pip", "setuptools")
"""What a new environment brings along by itself."""
_TOLD = {"cuda-toolkit": "NVIDIA, proprietary", "espeakng-loader": "MIT; carries eSpeak NG, GPL-3.0-or-later"}
"""Of packages whose metadata does not tell."""
_HEAD = """# Licences of what brefine installs

Written by `make licences` from the metadata of the pinned packages. Nothing under the GPL is installed by default: eSpeak NG
(GPL-3) comes with the extra `voices` alone and runs in a process of its own. NVIDIA's CUDA libraries, which PyTorch brings along
on Linux, are proprietary and may be used free of charge.

"""


def closure(extras: tuple[str, ...] = ()) -> list[metadata.Distribution]:
    """brefine's dependencies and theirs, as far as they are installed here, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [("brefine", extras)]
    while waiting:
        name, own_extras = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for text in distribution.requires or ():
            required = Requirement(text)
            wanted = [{"extra": extra} for extra in ("", *own_extras)]
            if required.marker is None or any(required.marker.evaluate(one) for one in wanted):
                key = canonicalize_name(required.name)
                if key not in found:
                    waiting.append((key, tuple(required.extras)))
        if name not in ("brefine", *_NOT_PINNED):
            found[canonicalize_name(name)] = distribution
    return [found[name] for name in sorted(found)]


def licence_of(distribution: metadata.Distribution) -> str:
    """A package's licence in one line: its expression, its classifiers, or the first line of what it says."""
    told = distribution.metadata
    classifiers = [line for line in told.get_all("Classifier") or () if line.startswith(_PREFIX)]
    classified = [line.rpartition(" :: ")[2] for line in classifiers]
    first = (told.get("License") or "").strip().split("\n")[0][:80]
    known = _TOLD.get(canonicalize_name(told["Name"]), "not told")
    return told.get("License-Expression") or ", ".join(classified) or first or known


def is_gpl(licence: str) -> bool:
    """Whether linking makes the whole GPL. The LGPL does not, nor does a licence that is offered beside others (`OR`)."""
    return bool(re.search(r"(?<!L)(?<!Lesser )(GPL|General Public License)", licence)) and " OR " not in licence


def page() -> str:
    """docs/licences.md."""
    default = {canonicalize_name(one.metadata["Name"]) for one in closure()}
    rows = ["| package | version | licence | installed |", "|---|---|---|---|"]
    for one in closure(EXTRAS):
        name = canonicalize_name(one.metadata["Name"])
        rows.append(f"| {name} | {one.version} | {licence_of(one)} | {'by default' if name in default else 'with an extra'} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
