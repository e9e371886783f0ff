"""Originals that OpenCV has no class for: the user's files in onnxruntime, one picture at a time.

What follows the network is written here once more, plainly and in numpy, so that nothing of our graphs judges itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visavis_export.detector import FRAME, MAX_FACES, STRIDES
from visavis_export.freeing import entrance_of, parse
from visavis_export.matching import Faces, Floats, iou
from visavis_export.pack import DetectorRecipe, EmbedderRecipe
from visavis_export.runners import demanded, session_of

Pixels = npt.NDArray[np.uint8]


class OriginalScrfd:
    """SCRFD at the frame's scale and at half of it."""

    def __init__(self, data: bytes, recipe: DetectorRecipe) -> None:
        self._scales = {1: _Original(data, FRAME, recipe), 2: _Original(data, FRAME // 2, recipe)}
        self._recipe = recipe

    def detect(self, frame: Pixels) -> Faces:
        """The best 32 faces in uint8 (640, 640, 3) RGB that score as much as their height demands."""
        rows = self._rows(frame.astype(np.float32), 1)
        halved = frame.reshape(FRAME // 2, 2, FRAME // 2, 2, 3).mean((1, 3), dtype=np.float32)
        large = self._rows(halved, 2)
        rows = np.concatenate([rows, large[large[:, 3] > self._recipe.close_up_from * FRAME]])
        rows = rows[rows[:, 14] > demanded(self._recipe, rows[:, 3])]
        rows = self._without_overlaps(rows[np.argsort(-rows[:, 14], kind="stable")])
        return Faces(rows[:, :4], rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14])

    def _rows(self, picture: Floats, reduction: int) -> Floats:
        """Every candidate: x, y, width, height, five points, score; pixels of the frame."""
        outputs = self._scales[reduction].run(picture)
        tables = [output.reshape(-1, output.shape[-1]) for output in outputs]
        rows = []
        for stride in STRIDES:
            across = len(picture) // stride
            # The finer the stride, the more rows; the three tables of one stride have equally many.
            scores, boxes, points = sorted(
                (t for t in tables if len(t) in {across**2, 2 * across**2}), key=lambda table: table.shape[1]
            )
            for place, (score, (left, top, right, bottom), offsets) in enumerate(
                zip(scores[:, 0], boxes * stride, points * stride, strict=True)
            ):
                if score > self._recipe.tall_score_threshold:
                    row, column = divmod(place // (len(scores) // across**2), across)
                    x, y = column * stride, row * stride
                    corners = [x - left, y - top, left + right, top + bottom]
                    rows.append([*corners, *(offsets + [x, y] * 5)])
                    rows[-1] = [*(reduction * value for value in rows[-1]), score]
        return np.array(rows, np.float32).reshape(-1, 15)

    def _without_overlaps(self, rows: Floats) -> Floats:
        """The best of every heap of boxes, cut to whole pixels as our graphs cut them; best first."""
        kept: list[int] = []
        whole = np.trunc(rows[:, :4])
        for candidate in range(len(rows)):
            if len(kept) < MAX_FACES and all(
                iou(whole[candidate], whole[better]) <= self._recipe.overlap_threshold for better in kept
            ):
                kept.append(candidate)
        return rows[kept]


class OriginalEmbedder:
    """An embedder as its authors saved it."""

    def __init__(self, data: bytes, recipe: EmbedderRecipe, side: int) -> None:
        self._original = _Original(data, side, recipe)

    def embed(self, face: Pixels) -> Floats:
        """Raw embedding float32 (d,) of uint8 (112, 112, 3) RGB."""
        return self._original.run(face.astype(np.float32))[0].reshape(-1)


class _Original:
    """The file itself; only the size of the picture that it declares is made definite."""

    def __init__(self, data: bytes, side: int, recipe: DetectorRecipe | EmbedderRecipe) -> None:
        model, _ = parse(data)
        entrance = entrance_of(model)
        for dim, length in zip(entrance.type.tensor_type.shape.dim, (1, 3, side, side), strict=True):
            dim.dim_value = length
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        self._session = session_of(model.SerializeToString())
        self._entrance, self._mean, self._deviation = entrance.name, recipe.mean, recipe.deviation

    def run(self, picture: Floats) -> list[Floats]:
        """All outputs for float32 (side, side, 3) RGB, 0…255."""
        entered = ((picture - self._mean) / self._deviation).astype(np.float32).transpose(2, 0, 1)[None]
        outputs: list[Floats] = self._session.run(None, {self._entrance: entered})
        return outputs
