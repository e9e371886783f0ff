"""The backend ``onnxruntime``, served by Python where Triton's own C++ backend is not at hand."""
