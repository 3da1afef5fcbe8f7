"""Hands one message to Apprise. The services are listed in the person's own configuration file, so no password is an argument.

python -m brefine.run.apprise_message CONFIG < message.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from brefine.errors import ConfigError, ProcessError, run_main

_KINDS = {"info": "info", "warning": "warning", "error": "failure"}


def main(arguments: Sequence[str]) -> int:
    """Sends the message on standard input.

    Raises:
        ConfigError: Apprise is not installed, or the file names no service.
        ProcessError: a service did not take it.
    """
    try:
        import apprise
    except ImportError:
        raise ConfigError(
            "Apprise is not installed", where="[alerts] apprise", hint="pip install apprise (or brefine[apprise])"
        ) from None
    path = Path(arguments[0]).expanduser()
    services = apprise.Apprise()
    if path.is_file():
        config = apprise.AppriseConfig()
        config.add(str(path))
        services.add(config)
    if not services.urls():
        raise ConfigError("no service is configured", where=path, expected="an Apprise configuration file, one URL a line")
    message = json.load(sys.stdin)
    levels = [alert["level"] for alert in message["alerts"]]
    worst = next((level for level in ("error", "warning") if level in levels), "info")
    if not services.notify(title=message["title"], body=message["text"], notify_type=_KINDS[worst]):
        raise ProcessError("a service did not take the message", where=path)
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
