"""The pieces of HTML that the sections of the report are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Final

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LOOKS: Final = ("s0", "s1", "s2")
"""Styles of the models' curves, in the order of the recipe."""


def html_page(title: str, body: str) -> str:
    """A whole page that loads nothing; the arguments are HTML already."""
    style = files("brefine.run").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>brefine: {title}</title>\n<style>\n{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def html_section(anchor: str, title: str, body: str) -> str:
    return f'<section id="{anchor}"><h2>{title}</h2>{body}</section>'


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table; its cells are HTML already, and `numbers` are the columns with numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if place in numbers else ''}>{cell}</{tag}>" for place, cell in enumerate(row))

    top = f"<thead><tr>{cells('th', header)}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def side_by_side(*parts: str) -> str:
    return f'<div class="pair">{"".join(parts)}</div>'


def html_figure(chart: str, caption: str) -> str:
    return f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"


def sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
