"""Money: price with its date, spent, projected at the ETA, left, and the share of the cap that is spent."""

from __future__ import annotations

from textual.content import Content

from brefine.core.figures import percent
from brefine.run.budget import TIERS
from brefine.run.snapshot import BudgetView, PhaseSnapshot
from brefine.tui.format import UNKNOWN, bar, format_duration, format_usd
from brefine.tui.widgets.panel import Panel, line, stack


class BudgetPanel(Panel):
    """One line, or three where there is room."""

    BORDER_TITLE = "budget"

    def __init__(self) -> None:
        super().__init__(id="budget", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        budget = snapshot.budget
        if height < 2:
            return _one_line(budget, width)
        return stack(_lines(budget, width)[:height])


def share_of_limit(budget: BudgetView) -> tuple[float | None, str]:
    """The share of the limit that is spent, and the limit in words: the phase's cap, or all that was left before the phase."""
    if budget.cap_usd is not None:
        return budget.spent_usd / budget.cap_usd, "of the cap"
    before_usd = budget.remaining_usd + budget.spent_usd
    return (budget.spent_usd / before_usd if before_usd > 0 else None), "of what was left"


def _one_line(budget: BudgetView, width: int) -> Content:
    share, of = share_of_limit(budget)
    if budget.idle_s is not None:
        return line((f" {_price(budget)}", "bold"), "  ", (f"▲ {_outlook(budget)}", "$warning"))
    head = line((f" {_price(budget)}", "bold"))
    figures = f"  spent {budget.spent_usd:.2f}  projected {_usd(budget.projected_usd)}  left {budget.remaining_usd:,.2f}"
    text = f" {percent(share, 0)} {of}"
    room = width - head.cell_length - len(figures) - len(text) - 3
    drawn = (bar(share, min(12, room)), _style(share)) if room >= 2 else ""
    return line(head, figures, "  ", drawn, text)


def _lines(budget: BudgetView, width: int) -> list[Content]:
    share, of = share_of_limit(budget)
    limit = f"{percent(share, 0)} {of}"
    if budget.cap_usd is not None:
        limit += f" {format_usd(budget.cap_usd)}"
    figures = line(
        (f" {_price(budget)}", "bold"), "   spent ", (format_usd(budget.spent_usd), "bold"),
        f"   projected {format_usd(budget.projected_usd)}   left {format_usd(budget.remaining_usd)}",
    )  # fmt: skip
    length = max(8, min(40, width - len(limit) - 4))
    outlook = line((f" {_outlook(budget)}", "$quiet" if budget.idle_s is None else "$warning"))
    return [figures, line(" ", (bar(share, length), _style(share)), f" {limit}"), outlook]


def _outlook(budget: BudgetView) -> str:
    if budget.price_usd_per_hour <= 0:
        return "this machine costs nothing"
    if budget.idle_s is not None:
        return f"{_idle(budget)}: {budget.terminate or 'end it where you rented it'}"
    left_s = 3600 * budget.remaining_usd / budget.price_usd_per_hour
    words = f"{format_usd(budget.remaining_usd)} left lasts {format_duration(left_s)}"
    if budget.cap_usd is not None:
        cap_s = 3600 * max(0.0, budget.cap_usd - budget.spent_usd) / budget.price_usd_per_hour
        cap = f"the cap is reached in {format_duration(cap_s)}" if budget.guarded else "nobody stops it at the cap"
        words = f"{cap}; {words}"
    return words


def _idle(budget: BudgetView) -> str:
    """What the machine has cost since it became idle."""
    idle_s = budget.idle_s or 0.0
    return f"idle {format_duration(idle_s)}, {format_usd(idle_s * budget.price_usd_per_hour / 3600)} burnt"


def _price(budget: BudgetView) -> str:
    dated = f" ({budget.priced_on})" if budget.priced_on else ""
    return f"${budget.price_usd_per_hour:.2f}/h{dated}"


def _usd(usd: float | None) -> str:
    return UNKNOWN if usd is None else f"{usd:.2f}"


def _style(share: float | None) -> str:
    if share is None or share < TIERS[0]:
        return "$success"
    return "$accent" if share < TIERS[1] else "$warning" if share < TIERS[2] else "$error"
