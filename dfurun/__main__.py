"""`python -m dfurun` is the same command as `dfurun`."""

from dfurun.cli.main import main

if __name__ == "__main__":
    main()
