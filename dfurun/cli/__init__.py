"""The commands: parse arguments, call the library, render, choose the exit status. Nothing else knows about a terminal."""
