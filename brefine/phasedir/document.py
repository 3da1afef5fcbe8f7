"""What all JSON documents of a phase directory have in common: a schema, atomic writes, and clear refusals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brefine.errors import FormatError
from brefine.io.atomic import append_line, read_json, write_json_atomic
from brefine.io.jsontext import parse_json

SCHEMA: Final = 1

UnixTime = Annotated[float, Field(ge=0.0, le=1e11)]
"""Seconds since 1970; times beyond the year 5000 are refused, since no clock can have given them."""


class Document(BaseModel):
    """A JSON file of a phase directory."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True, allow_inf_nan=False)

    version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA

    def write(self, path: Path) -> None:
        """Replaces the file atomically."""
        write_json_atomic(path, self.to_json())

    def append_to(self, path: Path) -> None:
        """Appends the document as one line to a file of such lines; see `parse_line`."""
        append_line(path, json.dumps(self.to_json(), allow_nan=False))

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads and checks the file.

        Raises:
            FormatError: the file is not JSON, has another schema, or lacks a key.
            FileNotFoundError: there is no such file.
        """
        return cls._parse(read_json(path), path)

    @classmethod
    def _parse(cls, tree: Any, path: Path) -> Self:
        """The document in a JSON tree that was read from `path`."""
        found = tree.get("schema") if isinstance(tree, dict) else None
        if found != SCHEMA:
            raise FormatError(
                "the file has another schema",
                where=path,
                expected=f'"schema": {SCHEMA}',
                got=repr(found),
                hint="it was written by another version of brefine; open the phase with that version",
            )
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
            raise FormatError(f"this is not a valid {cls.__name__}", where=path, problems=problems) from None

    @classmethod
    def read_if_there(cls, path: Path) -> Self | None:
        """Like `read`, but None if there is no such file."""
        try:
            return cls.read(path)
        except FileNotFoundError:
            return None

    @classmethod
    def read_if_sound(cls, path: Path) -> Self | None:
        """Like `read`, but None if the file cannot be read: for documents that their owner rewrites, damaged or not."""
        try:
            return cls.read(path)
        except (FormatError, OSError):
            return None

    @classmethod
    def parse_line(cls, line: bytes, path: Path) -> Self | None:
        """The document in a line of the file at `path`; None if it cannot be read: torn, damaged, or of another schema."""
        try:
            return cls.model_validate(parse_json(line, where=path))
        except (FormatError, ValidationError):
            return None


class SealedDocument(Document):
    """A file that a verdict rests on: it carries a digest of itself, so that nothing written by hand passes for measured."""

    seal: str | None = None

    def to_json(self) -> dict[str, Any]:
        tree = super().to_json()
        return {**tree, "seal": _seal_of(tree)}

    @classmethod
    def _parse(cls, tree: Any, path: Path) -> Self:
        found = super()._parse(tree, path)
        if found.seal != _seal_of(tree):
            raise FormatError(
                "the file was changed after brefine had written it",
                where=path,
                expected="the seal of its content",
                got=found.seal or "no seal",
                hint="let brefine write it anew",
            )
        return found


def _seal_of(tree: dict[str, Any]) -> str:
    content = {key: value for key, value in tree.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Part(BaseModel):
    """A piece of a document."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True, allow_inf_nan=False)
