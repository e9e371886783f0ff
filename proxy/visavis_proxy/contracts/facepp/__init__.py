"""The room of Face++ v3 compare; ``route.router`` is its door."""
