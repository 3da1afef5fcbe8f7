"""Recipes as files: reads them with overrides, reporting every fault at once, writes them out whole, and resolves their paths."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from brefine.config.schema import PhaseConfig
from brefine.errors import ConfigError, one_line, tell
from brefine.io.inputs import read_input

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML takes without quotes."""
_RECIPES: Final = Path(__file__).parents[1] / "recipes"
"""The folder `configs/` as it is installed; in a checkout it is a link."""
_MOST_BYTES: Final = 1 << 22
"""A recipe with more is refused; the longest one that ships has a few thousand."""


def load_config(path: Path, overrides: Sequence[str] = ()) -> PhaseConfig:
    """Reads a recipe and applies `key.path=value` overrides (values in TOML syntax; bare words are strings).

    If there is no file `configs/NAME.toml`, the recipe of this name that was installed with brefine is read, and stderr says so.

    Raises:
        ConfigError: the file is missing, not TOML, or has faults; all faults are listed with key and value.
    """
    try:
        content = read_input(path, _MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError("this is too large to be a recipe", where=path, expected=f"at most {_MOST_BYTES >> 20} MiB")
        text = TextIOWrapper(BytesIO(content), encoding="utf-8-sig").read()  # editors on Windows begin it with a byte-order mark
    except FileNotFoundError:
        shipped = _RECIPES / path.name
        if path.parent == Path("configs") and shipped.is_file():
            tell(f"{one_line(path)} is not here: this is the recipe that was installed with brefine, {one_line(shipped)}")
            return load_config(shipped, overrides)
        names = ", ".join(f"configs/{one.name}" for one in sorted(_RECIPES.glob("*.toml")))
        raise ConfigError("there is no such recipe", where=path, hint=f"recipes that ship: {names}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"the recipe cannot be read: {reason}", where=path) from None
    return parse_config(text, where=str(path), overrides=overrides)


def parse_config(text: str, *, where: str, overrides: Sequence[str] = ()) -> PhaseConfig:
    """Parses a recipe's text; see `load_config`."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, a number of 5,000 digits, or brackets without end
        raise ConfigError(f"this is not TOML: {error}", where=where, hint="is the file complete?") from None
    for override in overrides:
        _set_key(tree, override)
    if (schema := tree.get("schema", 1)) != 1:  # its keys may mean something else, so reporting their faults would mislead
        raise ConfigError(
            "the recipe has another schema",
            where=where,
            expected="schema = 1",
            got=ascii(schema)[:60],
            hint="it is for another version of brefine; open the phase with that version, or begin with a recipe of this one",
        )
    try:
        unprintable = [
            f"{where}: {key}: {ascii(value)[:60]} holds characters that cannot be printed" for key, value in _unprintable(tree)
        ]
        content = _to_json(tree)
    except RecursionError:  # a key with hundreds of dots, in the text or in an override
        raise ConfigError("the recipe has sections in sections without end", where=where) from None
    if unprintable:
        raise ConfigError("the recipe has faults", where=where, problems=unprintable)
    try:
        # TOML has arrays where the schema has tuples; pydantic's JSON mode is strict about all else.
        return PhaseConfig.model_validate_json(content)
    except ValidationError as error:
        raise ConfigError(
            "the recipe has faults",
            where=where,
            problems=[f"{where}: {_fault(item)}" for item in error.errors(include_url=False)],
        ) from None


def format_config(config: PhaseConfig) -> str:
    """The whole resolved recipe as TOML, which `load_config` reads back."""
    tree = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    return "\n".join(_format_table(tree, ())) + "\n"


def prepared_corpus_path(config: PhaseConfig) -> Path:
    """The folder of the prepared corpus: one for each combination of corpus, hypotheses, features and seed.

    Paths are made absolute first, so a recipe with relative paths names the same corpus as one with the absolute paths.
    """
    config = with_absolute_paths(config)
    sections = config.model_dump(mode="json", include={"corpus", "hypothesis", "features", "seed"})
    del sections["corpus"]["root"]  # the same corpus may lie elsewhere
    for added in ("known_to_differ", "local_speaker_names"):
        if not sections["corpus"][added]:
            del sections["corpus"][added]  # so that recipes without this key, which is newer, keep their corpora
    if config.hypothesis.builtin_share == 0.0:
        del sections["hypothesis"]["builtin_share"]  # likewise
    if config.hypothesis.source not in ("replayed", "folder"):
        sections["diarizer"] = config.diarizer.model_dump(mode="json")
    key = hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()[:12]
    return Path(config.corpus.root) / "prepared" / f"{config.corpus.kind}-{key}"


def with_models(config: PhaseConfig, names: str | None) -> PhaseConfig:
    """The recipe with only some of its models, named `mlp,contrastive`; None = all of them.

    Raises:
        ConfigError: a name is not a model of the recipe.
    """
    if names is None:
        return config
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in config.models]
    if unknown or not wanted:
        raise ConfigError(
            "these are not models of the recipe",
            where="--models",
            expected=",".join(config.models),
            got=",".join(unknown) or "none",
        )
    return config.model_copy(update={"models": {name: own for name, own in config.models.items() if name in wanted}})


def with_absolute_paths(config: PhaseConfig) -> PhaseConfig:
    """The same recipe for processes that may be started from any folder: paths no longer depend on the current one."""
    corpus = config.corpus
    folders = {name: str(Path(path).absolute()) for name in ("root", "train", "gate") if (path := getattr(corpus, name))}
    if corpus.simulation.voices != "builtin":
        voices = str(Path(corpus.simulation.voices).absolute())
        folders |= {"simulation": corpus.simulation.model_copy(update={"voices": voices})}  # type: ignore[dict-item]
    hypothesis, diarizer = config.hypothesis, config.diarizer
    heard = {} if hypothesis.folder is None else {"folder": str(Path(hypothesis.folder).absolute())}
    if Path(hypothesis.errors).is_file():
        heard["errors"] = str(Path(hypothesis.errors).absolute())
    system = {"model": str(Path(diarizer.model).absolute())} if diarizer.model and Path(diarizer.model).exists() else {}
    if diarizer.python and "/" in diarizer.python and not diarizer.python.startswith("~"):  # else from the PATH or the home
        system["python"] = str(Path(diarizer.python).absolute())
    apprise, ledger = config.alerts.apprise, config.budget.ledger
    told = {} if apprise is None else {"apprise": str(Path(apprise).expanduser().absolute())}
    billed = {} if ledger is None else {"ledger": str(Path(ledger).expanduser().absolute())}
    return config.model_copy(
        update={
            "corpus": corpus.model_copy(update=folders),
            "hypothesis": hypothesis.model_copy(update=heard),
            "diarizer": diarizer.model_copy(update=system),
            "budget": config.budget.model_copy(update=billed),
            "alerts": config.alerts.model_copy(update=told),
            "runs": str(Path(config.runs).absolute()),
        }
    )


def _to_json(tree: dict[str, Any]) -> str:
    return json.dumps(tree, default=lambda value: value.isoformat())


def _unprintable(tree: Any, key: str = "(top level)") -> Iterator[tuple[str, str]]:
    """Key and value of each string with characters that cannot be shown on a screen or used in a file name."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if not name.isprintable():
                yield key, name
            yield from _unprintable(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _unprintable(value, key)
    elif isinstance(tree, str) and not tree.replace("\n", "").replace("\t", "").isprintable():
        yield key, tree


def _set_key(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(
            "an override must read key=value", where=f"--set {override}", expected="section.key=value", got=override
        )
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    value = parsed["value"] if len(parsed) == 1 else text  # with more keys, on further lines, all but the first would be lost
    *sections, last = key.strip().split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{section} is a value, not a section", where=f"--set {override}")
    tree[last] = value


def _fault(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"] if part != "[key]") or "(top level)"
    words = item["msg"].removeprefix("Value error, ")
    message = words[0].lower() + words[1:]
    if item["type"] == "missing":
        return f"{key}: {message}"
    if item["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    shown = repr(item["input"])
    return f"{key}: {message} (got {shown if len(shown) <= 60 else shown[:57] + '...'})"


def _format_table(tree: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"{_format_key(key)} = {_format_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for key, value in tree.items():
        if isinstance(value, dict):
            inner = (*path, _format_key(key))
            lines += ["", f"[{'.'.join(inner)}]", *_format_table(value, inner)]
    return lines


def _format_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _format_value(key)


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_format_value(item) for item in value) + "]"
    if isinstance(value, str):
        # By default, JSON escapes characters beyond U+FFFF as surrogate pairs, which TOML forbids; and it leaves DEL unescaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return repr(value)
