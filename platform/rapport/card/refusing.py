"""Does a reply refuse to help, or speak of itself as a model that cannot?"""

import re

_UNABLE = r"(?:can(?:no|')?t|cannot|can not|am (?:not able|unable)|'m (?:not able|unable))"
_REFUSALS = re.compile(
    rf"\bi {_UNABLE} (?:to )?(?:\w+ ){{0,2}}?(?:help|assist|answer|provide|offer|give|engage|"
    rf"respond|access|discuss)\b"
    r"|\bi(?:'m| am) (?:sorry|afraid),? but (?:as an?|i)\b"
    r"|\bas an? (?:ai|a\.i\.|language|artificial)\b"
    r"|\bi don't have (?:the )?(?:capability|ability|access|personal|feelings)\b",
    re.IGNORECASE,
)


def refuses(reply: str) -> bool:
    """Whether a reply refuses, by its words; English only."""
    return _REFUSALS.search(reply.replace("\u2019", "'")) is not None
