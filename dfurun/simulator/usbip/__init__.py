"""Simulated boards over USB/IP: served on one side, attached to a Linux kernel's virtual host controller on the other."""
