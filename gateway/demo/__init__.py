"""The demo: a home with three shops, a sandbox platform, a sandbox till, and the whole story without a person."""
