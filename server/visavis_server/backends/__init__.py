"""Triton backends that are Python files; the launcher copies them into Triton's backend directory."""
