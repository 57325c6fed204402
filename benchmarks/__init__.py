"""What `make bench` measures; each module says its input and checks its own answers."""
