"""The virtual machine as the host sees it: made once, booted, and told what to execute.

Software emulation does: no hardware virtualisation, and no USB in the host's kernel, is needed. The guest shares the host's
root over 9p, read-only, so that it runs the very dfurun, dfu-util and libusb of this checkout and this system.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
KERNEL_FOLDER = CHECKOUT / "build" / "system"
HOST_IN_GUEST = "10.0.2.2"  # qemu's user network: the host's loopback interface
BOOT_TIMEOUT_S = 180.0
WORK_FOLDER = "/run/work"
QEMU = "qemu-system-x86_64"
_PACKAGES = HERE.with_name("packages.txt")  # of each line, a program and the Debian package that it comes from
_ADMINISTRATORS_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def why_not() -> str:
    """Return why this computer cannot boot the virtual machine, with what to do; empty where it can."""
    if not shutil.which("apt-cache") or _says("dpkg", "--print-architecture") != "amd64":
        return "the virtual machine runs what the host has installed, under Debian's kernel: that takes Debian on amd64"
    needed = (line.split() for line in _PACKAGES.read_text().splitlines())
    missing = sorted(p for program, p in needed if not shutil.which(program, path=_ADMINISTRATORS_PATH))
    if missing:
        return f"the virtual machine needs Debian's {', '.join(missing)}: make system-packages, as root"
    if not (KERNEL_FOLDER / "vmlinuz").exists() and not _says("apt-cache", "depends", "linux-image-amd64"):
        return "apt does not know Debian's linux-image-amd64: apt-get update, as root"
    return ""


def _says(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


@dataclass(frozen=True)
class Done:
    """A command that has ended in the guest, and the folder it ran in; `seconds` by the guest's clock, start to end."""

    words: tuple[str, ...]
    folder: str
    exit: int
    out: str
    err: str
    seconds: float

    def __str__(self) -> str:
        return f"$ {' '.join(self.words)}\n{self.out}{self.err}(exit {self.exit}, {self.seconds:.1f} s)"


@dataclass
class _Order:
    words: tuple[str, ...]
    folder: str
    on_line: Callable[[str], None] | None
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    done: Future[Done] = field(default_factory=Future)


class Running:
    """A command that is running in the guest."""

    def __init__(self, machine: Machine, number: int, order: _Order) -> None:
        self._machine = machine
        self._number = number
        self._order = order

    def wait(self, timeout_s: float) -> Done:
        """Wait for its end; raise TimeoutError with what it printed where it does not come."""
        try:
            return self._order.done.result(timeout_s)
        except TimeoutError:
            self.stop()
            printed = "".join(self._order.out + self._order.err)
            raise TimeoutError(f"{' '.join(self._order.words)}: not done after {timeout_s} s:\n{printed}") from None

    def stop(self) -> None:
        """Press Ctrl-C."""
        self._machine.send(id=self._number, stop=True)


class Machine:
    """One virtual machine, from its boot to its end; a context manager."""

    def __init__(self, kernel_folder: Path = KERNEL_FOLDER) -> None:
        self.console = kernel_folder / "console.log"
        self._folder = kernel_folder
        self._numbers = itertools.count(1)
        self._orders: dict[int, _Order] = {}
        self._lock = threading.Lock()
        self._qemu: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        make_kernel(self._folder)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._qemu = subprocess.Popen(self._command(listener.getsockname()[1]), stdin=subprocess.DEVNULL)
            try:
                self._connection = self._await_agent(listener)
            except BaseException:
                self._qemu.kill()
                self._qemu.wait()
                raise
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.settimeout(None)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._qemu is not None
        if self._connection is not None:
            self._connection.close()
        self._qemu.kill()
        self._qemu.wait()

    def _await_agent(self, listener: socket.socket) -> socket.socket:
        assert self._qemu is not None
        listener.settimeout(1.0)
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._qemu.poll() is not None:
                raise ChildProcessError(f"{QEMU} ended with status {self._qemu.returncode}:\n{self.console_text}")
            with suppress(TimeoutError):
                return listener.accept()[0]
        raise TimeoutError(f"no boot within {BOOT_TIMEOUT_S} s:\n{self.console_text}")

    @property
    def console_text(self) -> str:
        """The last of what the guest's kernel and its first program have printed."""
        return self.console.read_text(errors="replace")[-4000:] if self.console.exists() else ""

    def start(
        self,
        *words: object,
        folder: str = WORK_FOLDER,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Running:
        """Start a command; `on_line` hears each line of its standard output as it comes."""
        number, order = next(self._numbers), _Order(tuple(str(word) for word in words), folder, on_line)
        self._orders[number] = order
        self.send(id=number, words=order.words, folder=folder, environment=dict(environment or {}))
        return Running(self, number, order)

    def run(self, *words: object, timeout_s: float = 120.0, **settings: Any) -> Done:
        """Run a command to its end."""
        return self.start(*words, **settings).wait(timeout_s)

    def send(self, **order: Any) -> None:
        """Send an order to the agent."""
        assert self._connection is not None
        with self._lock:
            self._connection.sendall(json.dumps(order).encode() + b"\n")

    def _listen(self) -> None:
        assert self._connection is not None
        try:
            with self._connection.makefile("r", encoding="utf-8") as answers:
                for line in answers:
                    self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # the machine was switched off
        for order in self._orders.values():
            order.done.set_exception(ConnectionError(f"the virtual machine has stopped:\n{self.console_text}"))

    def _take(self, answer: dict[str, Any]) -> None:
        order = self._orders[answer["id"]]
        if "exit" in answer:
            del self._orders[answer["id"]]
            printed = "".join(order.out), "".join(order.err)
            order.done.set_result(Done(order.words, order.folder, answer["exit"], *printed, answer["seconds"]))
        elif answer["stream"] == "out":
            order.out.append(answer["text"])
            if order.on_line:
                order.on_line(answer["text"])
        else:
            order.err.append(answer["text"])

    def _command(self, port: int) -> Sequence[str]:
        kernel_words = (
            "console=ttyS0 quiet panic=-1 "
            f"dfurun.python={sys.executable} dfurun.agent={HERE / 'agent.py'} dfurun.port={port}"
        )
        return (
            QEMU,
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"),
            *("-kernel", str(self._folder / "vmlinuz"), "-initrd", str(self._folder / "initramfs.cpio.gz")),
            *("-append", kernel_words, "-serial", f"file:{self.console}"),
            *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
            *("-netdev", "user,id=network", "-device", "virtio-net-pci,netdev=network,romfile="),
        )


def make_kernel(folder: Path) -> None:
    """Make the kernel and the initramfs in `folder`, unless they are newer than what they are made from."""
    made = folder / "initramfs.cpio.gz"
    sources = [HERE / "initramfs.sh", HERE / "init.sh"]
    if made.exists() and made.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return
    subprocess.run(["sh", str(sources[0]), str(folder)], check=True)
