"""`python -m gateway.cli`: the same as `drainage`, also where the scripts folder is not on the path."""

from gateway.cli import main

main(prog_name="drainage")
