"""The virtual machine's last program: connects to the test run and executes what it is told. Standard library only.

A line of JSON is one order, `{"id": 1, "words": [...], "folder": ..., "environment": {...}}` or `{"id": 1, "stop": true}`;
the answers are lines `{"id": 1, "stream": "out" | "err", "text": ...}` and, last, `{"id": 1, "exit": 0, "seconds": 1.5}`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO


class Agent:
    """One connection to the test run."""

    def __init__(self, connection: socket.socket) -> None:
        self._orders = connection.makefile("r", encoding="utf-8")
        self._answers = connection.makefile("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[str]] = {}

    def serve(self) -> None:
        """Take orders until the test run hangs up."""
        for line in self._orders:
            order = json.loads(line)
            if order.get("stop"):
                process = self._running.get(order["id"])
                if process is not None:
                    os.killpg(process.pid, signal.SIGINT)
            else:
                threading.Thread(target=self._execute, args=(order,), daemon=True).start()

    def _execute(self, order: dict[str, Any]) -> None:
        number = order["id"]
        Path(order["folder"]).mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        try:
            process = subprocess.Popen(
                order["words"],
                cwd=order["folder"],
                env=os.environ | order["environment"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            self._answer(id=number, stream="err", text=f"{error}\n")
            self._answer(id=number, exit=127, seconds=0.0)
            return
        self._running[number] = process
        readers = [
            threading.Thread(target=self._pass_on, args=(number, name, stream))
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for reader in readers:
            reader.start()
        status = process.wait()
        seconds = time.monotonic() - begun
        for reader in readers:
            reader.join()
        del self._running[number]
        self._answer(id=number, exit=status, seconds=seconds)

    def _pass_on(self, number: int, name: str, stream: TextIO) -> None:
        for line in stream:
            self._answer(id=number, stream=name, text=line)

    def _answer(self, **answer: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(answer) + "\n")
            self._answers.flush()


if __name__ == "__main__":
    Agent(socket.create_connection((sys.argv[1], int(sys.argv[2])))).serve()
