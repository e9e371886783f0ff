"""One machine: starts the embedded Triton and the proxy; the ``visavis`` command."""
