"""What the GPUs and the machine are doing, or a note that says why there are no GPU figures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psutil

from brefine.run.snapshot import GpuView, HostView


class GpuProbe(Protocol):
    """Reads the GPUs; `note` says why there are no figures, and is None if there are."""

    note: str | None

    def read(self) -> tuple[GpuView, ...]: ...


class NoGpu:
    """A machine without GPU figures."""

    def __init__(self, note: str) -> None:
        self.note: str | None = note

    def read(self) -> tuple[GpuView, ...]:
        return ()


class NvmlProbe:
    """The GPUs as NVIDIA's driver reports them. What it does not report (utilisation under MIG) is None, never 0."""

    note: str | None = None

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]

    def read(self) -> tuple[GpuView, ...]:
        return tuple(self._view(index, handle) for index, handle in enumerate(self._handles))

    def _view(self, index: int, handle: Any) -> GpuView:
        nvml = self._nvml
        name = self._told(lambda: nvml.nvmlDeviceGetName(handle))
        rates = self._told(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        memory = self._told(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        milliwatts = self._told(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        celsius = self._told(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        return GpuView(
            index=index,
            name=name.decode() if isinstance(name, bytes) else str(name or "GPU"),
            utilisation=None if rates is None else rates.gpu / 100.0,
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            power_w=None if milliwatts is None else milliwatts / 1000.0,
            temperature_c=None if celsius is None else float(celsius),
        )

    def _told(self, ask: Callable[[], Any]) -> Any:
        with contextlib.suppress(self._nvml.NVMLError):
            return ask()
        return None


def find_gpus() -> GpuProbe:
    """The probe that fits this machine."""
    try:
        import pynvml
    except ImportError:
        return NoGpu("no GPU figures: nvidia-ml-py is not installed")
    try:
        pynvml.nvmlInit()
        probe = NvmlProbe(pynvml)
    except pynvml.NVMLError as error:
        reasons = {
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver",
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded",
            pynvml.NVML_ERROR_NO_PERMISSION: "the NVIDIA driver may not be read",
        }
        return NoGpu(f"no GPU: {reasons.get(error.value, str(error))}")
    return probe if probe.read() else NoGpu("no GPU: the NVIDIA driver finds none")


def read_host(disk: Path) -> HostView:
    """CPU use since the last call, memory, and free space on the disk that contains `disk`."""
    memory = psutil.virtual_memory()
    try:
        free_bytes = psutil.disk_usage(str(disk)).free
    except OSError:
        free_bytes = 0
    return HostView(
        cpu_utilisation=psutil.cpu_percent(interval=None) / 100.0,
        n_cores=psutil.cpu_count() or 1,
        memory_used_bytes=memory.total - memory.available,
        memory_total_bytes=memory.total,
        disk_free_bytes=free_bytes,
    )
