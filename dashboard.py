#!/usr/bin/env python
"""View results in a browser: detectors side by side, thresholds, rows, explanations.

Shows the folders of results and models, scores uploaded tables, and serves this machine only.
TensorFlow starts when a row must be scored or explained.

    python do_digits.py 706 test
    python dashboard.py            # then open the address that it prints
"""

import argparse
import os
import socket
from importlib import import_module
from pathlib import Path
from threading import Thread

from libs.utils.command_line import plain_parser, run

PORT = 8050


def main(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    from libs.utils.errors import UserError

    try:
        import uvicorn

        from app.api import create_app
        from app.connections import ImpatientProtocol
        from app.settings import LOOPBACK, Settings
    except ImportError as error:
        raise UserError(
            f"the dashboard needs {error.name}: pip install -e '.[dashboard]', or make dashboard"
        ) from error
    settings = Settings(
        results=args.results,
        models=args.models,
        data_path=args.data_path,
        hosts=(*LOOPBACK, *args.allow_host),
    )
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK[0], args.port))
            listening.listen()
        except OSError as error:
            raise UserError(
                f"port {args.port} of {LOOPBACK[0]}: {error.strerror}; take another with --port"
            ) from error
        print(f"http://{LOOPBACK[0]}:{listening.getsockname()[1]}  (Ctrl-C ends it)", flush=True)
        config = uvicorn.Config(
            create_app(settings),
            log_level="warning",
            server_header=False,
            http=ImpatientProtocol,
        )
        ahead = (
            "libs.datasets.registry"  # reads tables; the first page of rows need not wait for it
        )
        Thread(target=import_module, args=(ahead,), daemon=True).start()
        uvicorn.Server(config).run([listening])


def _port() -> int:
    """Port that Cloudera Machine Learning sets, or the default."""
    names = ("CDSW_APP_PORT", "CDSW_READONLY_PORT")
    return int(next((os.environ[name] for name in names if os.environ.get(name)), PORT))


def parser() -> argparse.ArgumentParser:
    """Options of the script."""
    options = plain_parser(__doc__)
    add = options.add_argument
    add("--port", type=int, default=_port(), help=f"default: $CDSW_APP_PORT or {PORT}; 0: any")
    add("--results", type=Path, default=Path("results"), help="default: results")
    add("--models", type=Path, default=Path("models"), help="default: models")
    add("--data_path", type=Path, help="raw files (default: $A3_DATA, or data)")
    domain = os.environ.get("CDSW_DOMAIN")
    add(
        "--allow_host",
        nargs="+",
        default=[f".{domain}"] if domain else [],
        metavar="NAME",
        help="host names besides 127.0.0.1 and localhost under which a proxy serves it; .NAME: "
        "all with that ending (default: .$CDSW_DOMAIN)",
    )
    return options


if __name__ == "__main__":
    raise SystemExit(run(main, parser()))
