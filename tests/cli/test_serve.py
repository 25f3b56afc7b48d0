"""`dfurun sim serve` and `dfurun sim attach`, short of a kernel that attaches: tests/system/ goes on from here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from command_line import ROOT, Dfurun

from dfurun.simulator.usbip import attach, protocol
from dfurun.simulator.usbip.attach import Address, exported

DFURUN = [sys.executable, "-c", "from dfurun.cli.main import main; main()"]


@contextmanager
def serving(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, at a port of the system's choice."""
    process = subprocess.Popen(
        [*DFURUN, "sim", "serve", "--listen", "127.0.0.1:0", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def order(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def next_line(process: subprocess.Popen[str], *, json_lines: bool = False) -> str:
    stream = process.stdout if json_lines else process.stderr
    assert stream is not None
    return stream.readline().rstrip("\n")


def test_boards_in_files_are_served_under_their_ports_and_hands_are_typed(dfurun: Dfurun, tmp_path: Path) -> None:
    dfurun("sim", "new", "first.json")
    dfurun("sim", "new", "second.json", "--port", "1-4")
    with serving(tmp_path / "first.json", tmp_path / "second.json", "--new", "2-1.3") as server:
        lines = [next_line(server) for _ in range(3)]
        address = Address.parse(lines[0].rpartition(" ")[2])
        assert lines == [f"{port}: served at {address}" for port in ("1-1", "1-4", "2-1.3")]
        assert [device.bus_id for device in exported(address)] == ["1-1", "1-4", "2-1.3"]
        order(server, "power-cycle 1-4 0")
        assert next_line(server) == "1-4: power-cycled with BOOT0 low"
        order(server, "power-cycle 1-5")
        assert next_line(server) == "no board at '1-5'; there are 1-1, 1-4, 2-1.3"
        assert [device.bus_id for device in exported(address)] == ["1-1", "2-1.3"]
    shown = dfurun("sim", "show", "second.json")
    assert "BOOT0           low" in shown.out


def test_a_server_tells_what_happens_in_json_lines() -> None:
    with serving("--json", "--fault", "missed-service:p=0.7") as server:
        hello, served = (json.loads(next_line(server, json_lines=True)) for _ in range(2))
        assert (hello["event"], served["event"], served["port"]) == ("hello", "serving", "1-1")
        order(server, "unplug 1-1")
        assert json.loads(next_line(server, json_lines=True)) == {
            "event": "hands",
            "order": "unplug 1-1",
            "done": "1-1: unplugged, until its next power cycle",
            "problem": "",
        }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("stdin_is_open", [True, False])
def test_ctrl_c_ends_a_server(stdin_is_open: bool) -> None:
    with serving() as server:
        next_line(server)
        if not stdin_is_open:
            assert server.stdin is not None
            server.stdin.close()
            server.stdin = None
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=20)
    assert server.returncode == 130
    assert said.endswith(
        "error[interrupted]: stopped by Ctrl-C\n"
    )  # after a line in the middle of which it came, perhaps
    assert said.count("error[") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_the_result_is_the_last_line_of_a_server_that_is_stopped_in_the_middle() -> None:
    with serving("--json") as server:
        served = [json.loads(next_line(server, json_lines=True)) for _ in range(2)][1]
        host, _, port = served["server"].rpartition(":")
        with socket.create_connection((host, int(port)), 10) as kernel:
            request = protocol.pack_operation(protocol.Operation.REQUEST_IMPORT)
            kernel.sendall(request + protocol.pack_bus_id("1-1"))
            assert json.loads(next_line(server, json_lines=True))["what"] == "imported"
            server.send_signal(signal.SIGINT)
            lines = [json.loads(line) for line in server.communicate(timeout=20)[0].splitlines()]
    assert [line.get("what", line["event"]) for line in lines] == ["released", "result"]
    assert lines[-1]["exit"] == server.returncode == 130


def test_a_board_that_cannot_be_saved_ends_the_server(dfurun: Dfurun, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    dfurun("sim", "new", folder / "board.json")
    with serving(folder / "board.json") as server:
        next_line(server)
        shutil.rmtree(folder)
        order(server, "power-cycle 1-1 0")
        _, said = server.communicate(timeout=20)
    assert server.returncode == 2
    assert said.startswith("error[sim-state]: a board cannot be saved: 1-1: ")


@pytest.mark.skipif(os.name == "nt", reason="a closed standard input is a matter of POSIX shells")
def test_a_server_without_standard_input_serves() -> None:
    server = subprocess.Popen(
        ["sh", "-c", 'exec "$@" 0<&-', "sh", *DFURUN, "sim", "serve", "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )
    try:
        address = Address.parse(next_line(server).rpartition(" ")[2])
        assert [device.bus_id for device in exported(address)] == ["1-1"]
    finally:
        server.kill()
        server.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no job control")
def test_a_server_in_the_background_of_a_shell_goes_on() -> None:
    """`dfurun sim serve &`: reading from the terminal would stop the process, and all its boards with it."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        script = (
            'set -m; "$@" 2>serve.txt & sleep 0.1; until grep -q served serve.txt; do sleep 0.1; done; '
            "sleep 1; jobs; kill %1"
        )
        os.chdir(tempfile.mkdtemp())
        os.environ |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        os.execvp("bash", ["bash", "-c", script, "bash", *DFURUN, "sim", "serve", "--listen", "127.0.0.1:0"])
    said = b""
    with suppress(OSError):  # the end of a terminal is an error
        while part := os.read(terminal, 4096):
            said += part
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"Running" in said
    assert b"Stopped" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "nonsense:"], "'nonsense:' is not HOST or HOST:PORT"),
        (["--new", "7"], "--new: '7' is not a port such as 1-2 or 1-2.3"),
        (["--new", "1-1", "--new", "1-1"], "two boards at port 1-1"),
        (["--fault", "stal"], "there is no fault 'stal'; did you mean 'stall'?"),
        (["--chip", "stm32f072xx"], "`stm32f072xx` can mean 2 chips"),
        (["absent.json"], "absent.json is not there"),
    ],
)
def test_what_cannot_be_served_is_wrong_usage(dfurun: Dfurun, words: list[str], said: str) -> None:
    done = dfurun("sim", "serve", *words)
    assert done.exit == 2
    assert said in done.err


def test_an_address_that_is_taken_is_wrong_usage(dfurun: Dfurun) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = dfurun("sim", "serve", "--listen", f"127.0.0.1:{port}")
    assert done.exit == 2
    assert f"--listen 127.0.0.1:{port}: " in done.err


def test_a_port_that_no_file_can_have_is_wrong_usage(dfurun: Dfurun) -> None:
    done = dfurun("sim", "new", "board.json", "--port", "7")
    assert (done.exit, Path("board.json").exists()) == (2, False)
    assert "--port: '7' is not a port" in done.err


def test_attaching_needs_a_virtual_controller(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(attach, "CONTROLLER", tmp_path / "vhci_hcd.0")
    done = dfurun("sim", "attach")
    assert (done.exit, done.codes) == (5, {"no-driver"})
    assert "modprobe vhci-hcd" in done.err


def test_attaching_needs_a_user_who_may(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "attach").write_text("")
    monkeypatch.setattr(attach, "CONTROLLER", tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    done = dfurun("sim", "attach")
    assert (done.exit, done.codes) == (5, {"no-permission"})


def test_attaching_to_what_is_no_server_says_so(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "attach").write_text("")
    monkeypatch.setattr(attach, "CONTROLLER", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        done = dfurun("sim", "attach", f"127.0.0.1:{listener.getsockname()[1]}")
    assert (done.exit, done.codes) == (4, {"no-device"})
    assert "does not speak USB/IP" in done.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_attaching_waits_for_a_server_and_says_what_cannot_be_attached(tmp_path: Path) -> None:
    (tmp_path / "attach").write_text("")
    (tmp_path / "status").write_text("hub port sta spd dev sockfd local_busid\nhs  0000 004 000 00000000 000000 0-0\n")
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    script = (
        "import sys\nfrom pathlib import Path\nfrom dfurun.simulator.usbip import attach\n"
        f"attach.CONTROLLER = Path({str(tmp_path)!r})\nfrom dfurun.cli.main import main\nmain()"
    )
    helper = subprocess.Popen(
        [sys.executable, "-c", script, "sim", "attach", f"127.0.0.1:{port}"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )
    try:
        assert next_line(helper).startswith(f"waiting for a server at 127.0.0.1:{port}: ")
        with serving("--new", "1-1", "--new", "1-2", "--listen", f"127.0.0.1:{port}"):
            assert next_line(helper) == "1-1: attached"
            assert next_line(helper) == "1-2: this controller has the ports 1 to 1"  # once, not ten times a second
            helper.send_signal(signal.SIGINT)
            assert helper.wait(20) == 130
    finally:
        helper.kill()
        helper.communicate()
    assert (tmp_path / "attach").read_text().startswith("0 ")
