"""`python -m tunewright` is the command line."""

from tunewright.cli.main import main

main()
