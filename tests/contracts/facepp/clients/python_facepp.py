"""python-facepp, as its users call it; run with the Python of requirements/sdk-facepp.txt.

Standard input: JSON of url, key, secret, calls; a call is the keyword arguments of one comparison and what is read
of its result afterwards. Prints for each call what was read, or the name of the exception and its own fields.
"""

import json
import sys

from facepplib import FacePP


def call(service, arguments, reads):
    result = service.compare.get(**arguments)
    seen = {}
    for name in reads:
        if name.startswith("image") and name[5:].isdigit():
            # The client calls detect by itself to get at the picture's faces.
            seen[name] = [face.face_token for face in getattr(result, name).faces]
        elif name.startswith("faces"):
            seen[name] = [face.face_token for face in getattr(result, name)]
        else:
            seen[name] = getattr(result, name)
    return seen


given = json.load(sys.stdin)
service = FacePP(given["key"], given["secret"], url=given["url"])
outcomes = []
for arguments, reads in given["calls"]:
    try:
        outcomes.append(call(service, arguments, reads))
    except Exception as error:
        outcomes.append(
            {"raised": type(error).__name__, **{k: v for k, v in vars(error).items() if isinstance(v, str)}}
        )
print(json.dumps(outcomes))
