"""NIST SPHERE, the format of speaker corpora: lines of `name -type value`, padded to a size that the second line says.

https://www.isip.piconepress.com/projects/speech/software/tutorials/production/fundamentals/v1.0/section_02/s02_01_p04.html
"""

from __future__ import annotations

import re

from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import Media, check_samples, check_size
from speaker_id.errors import CorruptAudio, UnsupportedMedia

SIZE = re.compile(rb"NIST_1A\n\s*(\d{1,8})\n")
FIELD = re.compile(rb"^(\w+) -[irs]\d* ([^\n]*)$", re.MULTILINE)
CODINGS = (b"pcm", b"ulaw", b"mu-law", b"alaw")
LONGEST_HEADER = 1 << 16  # bytes; 1024 are usual


def inspect(data: bytes) -> Media:
    """Check the layout and the coding, and that all samples that the header declares were received.

    Raises:
        CorruptAudio: the header does not describe the samples.
        UnsupportedMedia: samples in another coding, such as Shorten.
        UnsupportedLayout: a sampling rate or channel count outside the limits.
        TruncatedAudio: fewer bytes than the header declares.
    """
    size = SIZE.match(data)
    header = int(size[1]) if size else LONGEST_HEADER + 1
    if header > LONGEST_HEADER:
        raise CorruptAudio(
            f"NIST SPHERE whose second line does not give its header's size, at most {LONGEST_HEADER}"
        )
    check_size("NIST SPHERE header", header, len(data))
    # stripped here: in the expression it would backtrack over a line of blanks for seconds
    fields = {name: value.strip() for name, value in FIELD.findall(data[:header])}
    coding = fields.get(b"sample_coding", b"pcm").lower()
    if coding not in CODINGS:
        known = ", ".join(each.decode() for each in CODINGS)
        raise UnsupportedMedia(
            f"NIST SPHERE with sample coding {coding[:40].decode('ascii', 'replace')!r}; {known} are supported"
        )
    channels, width = _number(fields, b"channel_count", 1), _number(fields, b"sample_n_bytes", 2)
    check_layout(_number(fields, b"sample_rate"), channels)
    declared = _number(fields, b"sample_count", 0) * channels * width
    check_samples("NIST SPHERE data", declared, len(data) - header, header, channels * width)
    return Media("NIST SPHERE", "nistsphere", end=header + declared if declared else None)


def _number(fields: dict[bytes, bytes], name: bytes, default: int | None = None) -> int:
    value = fields.get(name, b"" if default is None else b"%d" % default)
    if not value.isdigit() or len(value) > 12:
        raise CorruptAudio(
            f"NIST SPHERE with {name.decode()} {value[:20].decode('ascii', 'replace')!r}, which is not a number"
        )
    return int(value)
