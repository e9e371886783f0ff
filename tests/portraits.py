"""Two public-domain portraits that common wheels carry."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import skimage
from PIL import Image


def public_portraits() -> dict[str, bytes]:
    """As JPEG: "hopper" and "astronaut"."""
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    astronaut = Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")
    return {"hopper": hopper.read_bytes(), "astronaut": as_jpeg(astronaut)}


def as_jpeg(picture: Image.Image) -> bytes:
    """Encoded with hardly any loss."""
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=95)
    return encoded.getvalue()
