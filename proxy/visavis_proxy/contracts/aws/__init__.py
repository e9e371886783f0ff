"""The room of AWS FaceComparison; ``route.router`` is its door."""
