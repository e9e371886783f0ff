"""The scales of the vendors' documents, in one place for the contract rooms and for whoever measures them.

AWS has none: its document leaves the cosine to the client, so its thresholds are the operating points themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from visavis_client.score_scale import PrintedScale

#: ``ConfidenceThresholds`` of the document's JSON example.
ALIYUN: Final = PrintedScale({1e-4: 90.07, 1e-3: 80.01, 1e-2: 70.02}, bottom=0, top=100, decimals=4)
#: ``thresholds`` of the document's example; it asks for three decimals.
FACEPP: Final = PrintedScale({1e-3: 65.3, 1e-5: 76.5, 1e-4: 71.8}, bottom=0, top=100, decimals=3)
#: The row 人脸相似度; the example's scores have two decimals.
JDCLOUD: Final = PrintedScale({1e-4: 0.49, 1e-5: 0.54, 1e-6: 0.58}, bottom=0, top=1, decimals=2)

VENDOR_SCALES: Final[Mapping[str, PrintedScale]] = {"Alibaba Cloud": ALIYUN, "Face++": FACEPP, "JD Cloud": JDCLOUD}
