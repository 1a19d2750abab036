"""Run the command line as `python -m verifier`."""

from verifier.cli import main

main()
