"""The udev rule: found where one is there, and installed by one command wherever it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from command_line import Dfurun

from dfurun.usb import udev
from dfurun.usb.udev import permission_hint, rule_for_boards, shipped_rule

COMMAND = (
    "sudo install -m 644 '/home/a b/60-dfurun.rules' /etc/udev/rules.d/60-dfurun.rules "
    "&& sudo udevadm control --reload && sudo udevadm trigger"
)


def test_a_udev_rule_is_found_by_what_it_says(tmp_path: Path) -> None:
    for name, text in {
        "40-mouse.rules": 'ATTR{idVendor}=="0483", ATTR{idProduct}=="5740", MODE="0660"\n',
        "50-comment.rules": '# ATTR{idVendor}=="0483", ATTR{idProduct}=="df11"\n',
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "99-odd.rules").write_bytes(b"\xff\xfe")
    assert rule_for_boards((tmp_path / "absent", tmp_path)) == ""
    (tmp_path / "60-dfu-util.rules").write_text('ATTRS{idVendor}=="0483", ATTRS{idProduct}=="DF11", MODE="664"\n')
    assert rule_for_boards((tmp_path / "absent", tmp_path)) == str(tmp_path / "60-dfu-util.rules")


def test_where_no_rule_is_there_the_command_installs_the_shipped_one() -> None:
    assert permission_hint("", "/home/a b/60-dfurun.rules") == f"{udev.INSTALL}:\n{COMMAND}"
    assert 'ATTR{idVendor}=="0483"' in Path(shipped_rule()).read_text(encoding="utf-8")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="udev is Linux's")
@pytest.mark.parametrize("rule", ["", "/etc/udev/rules.d/60-dfurun.rules"])
def test_explain_and_a_refused_open_say_the_same_of_this_computer(dfurun: Dfurun, rule: str) -> None:
    first, *command = permission_hint(rule, shipped_rule()).split("\n")
    with patch.object(udev, "rule_for_boards", lambda: rule):
        explained = dfurun("explain", "no-permission").out
        refused = dfurun("info", "--sim", "--sim-clock", "virtual", "--sim-fault", "no-permission").err
    for said in (explained, refused):
        assert first in said
        assert "".join(command) in said
        assert ("sudo install" in said) is not bool(rule)


def test_the_guide_shows_the_same_command() -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/five-minutes.md").read_text(encoding="utf-8")
    assert udev.install_rule("dfurun/usb/60-dfurun.rules") in guide
