"""3.图片要求 and the business codes, in the order in which they are found: 5, 4, 2 and 3, 10, 11, 12.

Each check looks at picture A first, then at B, before the next check begins.
"""

from __future__ import annotations

from visavis_client.faces import Face, PictureAnalysis, Pose
from visavis_proxy.contracts.jdcloud.errors import BusinessCode, BusinessError
from visavis_proxy.contracts.jdcloud.request import Question
from visavis_proxy.contracts.jdcloud.settings import JdCloudSettings, PostureLimits
from visavis_proxy.images import Base64Invalid, PictureHeader, PictureHeaderInvalid, decode_base64, inspect


def open_pictures(question: Question, settings: JdCloudSettings) -> tuple[bytes, bytes]:
    """Both encoded pictures; of each no more than the header is read, which tells a bmp, a png, and a jpg by any name.

    Raises:
        BusinessError: 5, 4, 2 or 3.
    """
    texts = (question.probe, question.reference)
    if any(len(text) > settings.max_base64_chars for text in texts):
        raise BusinessError(BusinessCode.Base64IsTooLarge)
    try:
        probe, reference = (decode_base64(text) for text in texts)
        headers = (inspect(probe), inspect(reference))
    except (Base64Invalid, PictureHeaderInvalid):
        raise BusinessError(BusinessCode.Base64IsInvalid) from None
    for header in headers:
        _check_size(header, settings)
    return probe, reference


def compared_faces(probe: PictureAnalysis, reference: PictureAnalysis, settings: JdCloudSettings) -> tuple[Face, Face]:
    """The largest face of either picture.

    Raises:
        BusinessError: 10, or where the settings ask for it 11 or 12.
    """
    if probe.largest is None or reference.largest is None:
        raise BusinessError(BusinessCode.NoFaceDetected)
    faces = (probe.largest, reference.largest)
    if any(face.sharpness < settings.min_blur_score for face in faces):
        raise BusinessError(BusinessCode.InvalidFaceQuality)
    if settings.refuse_invalid_posture and not all(posture_valid(f.pose, settings.posture_limits) for f in faces):
        raise BusinessError(BusinessCode.InvalidFacePosture)
    return faces


def posture_valid(pose: Pose, limits: PostureLimits) -> bool:
    """isValidPosture: no angle beyond its limit, to either side."""
    return abs(pose.yaw) <= limits.yaw and abs(pose.pitch) <= limits.pitch and abs(pose.roll) <= limits.roll


def _check_size(header: PictureHeader, settings: JdCloudSettings) -> None:
    if min(header.width, header.height) < settings.min_side_px:
        raise BusinessError(BusinessCode.ImageIsTooSmall)
    if max(header.width, header.height) > settings.max_side_px:
        raise BusinessError(BusinessCode.ImageIsTooLarge)
