"""The machine: GPUs, or a note that says why there are no figures of them, and CPU, memory and disk."""

from __future__ import annotations

from dataclasses import replace

from textual.content import Content

from brefine.run.snapshot import GpuView, HostView, PhaseSnapshot
from brefine.tui.format import bar, format_gib, format_rate
from brefine.tui.widgets.panel import Panel, line, stack

_BUSY = 0.9
_GIB = 1 << 30


class MachinePanel(Panel):
    """One line for each GPU and one for the host; both share a line if there is little room."""

    BORDER_TITLE = "machine"

    def __init__(self) -> None:
        super().__init__(id="machine", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        short = _host(snapshot.host, short=True)
        room = width - short.cell_length - 3 if height < 2 else width
        gpus = [_gpu(gpu, room) for gpu in snapshot.gpus] or [line((f" {snapshot.gpu_note or 'no GPU'}", "$quiet"))]
        if height < 2:
            gpus = [_several(snapshot.gpus)] if len(gpus) > 1 else gpus
            gap = max(3, width - gpus[0].cell_length - short.cell_length - 1)
            return line(gpus[0], " " * gap, short)
        return stack([*gpus[: height - 1], _host(snapshot.host, short=False)])


def _gpu(gpu: GpuView, room: int) -> Content:
    """A GPU's figures, as many as there is room for: the bar shrinks before the temperature is dropped."""
    whole, close = _gpu_figures(gpu, 8, "   "), _gpu_figures(gpu, 6, "  ")
    if whole.cell_length <= room:
        return whole
    return close if close.cell_length <= room else _gpu_figures(replace(gpu, temperature_c=None), 8, "   ")


def _gpu_figures(gpu: GpuView, bar_length: int, gap: str) -> Content:
    name = gpu.name.replace("NVIDIA ", "")
    used = "n/a" if gpu.utilisation is None else format_rate(gpu.utilisation, 5)
    style = "$success" if (gpu.utilisation or 0) >= 0.5 else "$accent"
    parts: list[str | Content | tuple[str, str]] = [
        (f" GPU{gpu.index} ", "bold"),
        f"{name:<5.16} ",
        (bar(gpu.utilisation, bar_length), style),
        f" {used}{gap}{format_gib(gpu.memory_used_bytes, gpu.memory_total_bytes)}",
    ]
    if gpu.power_w is not None:
        parts.append(f"{gap}{gpu.power_w:.0f} W")
    if gpu.temperature_c is not None:
        parts.append(f"  {gpu.temperature_c:.0f} °C")
    return line(*parts)


def _several(gpus: tuple[GpuView, ...]) -> Content:
    known = [gpu.utilisation for gpu in gpus if gpu.utilisation is not None]
    mean = sum(known) / len(known) if known else None
    return line((f" {len(gpus)} GPUs ", "bold"), (bar(mean, 8), "$success"), f" {format_rate(mean, 5)} on average")


def _host(host: HostView, *, short: bool) -> Content:
    cpu_style = "$warning" if host.cpu_utilisation >= _BUSY else "$accent"
    memory = host.memory_used_bytes / max(1, host.memory_total_bytes)
    memory_style = "$warning" if memory >= _BUSY else "$accent"
    if short:
        return line(
            ("CPU", "bold"), f"{format_rate(host.cpu_utilisation)}   ", ("RAM ", "bold"),
            f"{host.memory_used_bytes / _GIB:.0f}/{host.memory_total_bytes / _GIB:.0f} GiB",
        )  # fmt: skip
    return line(
        (" CPU ", "bold"), (bar(host.cpu_utilisation, 8), cpu_style), f"{format_rate(host.cpu_utilisation)} of {host.n_cores}   ",
        ("RAM ", "bold"), (bar(memory, 8), memory_style), f" {format_gib(host.memory_used_bytes, host.memory_total_bytes)}   ",
        ("disk ", "bold"), f"{host.disk_free_bytes / _GIB:.0f} GiB free",
    )  # fmt: skip
