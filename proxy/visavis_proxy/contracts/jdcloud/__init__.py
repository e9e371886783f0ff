"""The room of JD Cloud faceCompareV1; ``route.router`` is its door."""
