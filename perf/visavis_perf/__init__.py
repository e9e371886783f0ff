"""Measures the service against the limit of the machine it runs on, and against a peer."""
