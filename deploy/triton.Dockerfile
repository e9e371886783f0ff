# NVIDIA's Triton with what the Python models import. Its onnxruntime backend is the C++ one.
# 26.03: before TensorRT 11 (26.06), which takes no FP16 flag.
FROM nvcr.io/nvidia/tritonserver:26.03-py3

COPY requirements/triton.txt /tmp/triton.txt
# The same versions as everywhere else, but for numpy: the stub was built against the container's own.
RUN python3 -m pip install --no-cache-dir --break-system-packages --no-deps --require-hashes --requirement /tmp/triton.txt
# A new volume takes the owner of /engines, where TensorRT's engines are kept.
RUN install --directory --owner 1000 --group 1000 /engines
# triton-server, as NVIDIA's image calls it.
USER 1000:1000
