"""MP4: boxes whose tables ask for more than they are (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from measure.chaos.attacks import named, repeated
from measure.chaos.recordings import by_ffmpeg, tones

RATE = 16_000
SAMPLES = 16_000  # of one byte, A-law
Numbers = Sequence[int]
FTYP = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def alaw(channels: int = 1, rate: int = RATE) -> bytes:
    return box(b"alaw", bytes(6), struct.pack(">H8xHHIHH", 1, channels, 16, 0, rate, 0))


def amr() -> bytes:
    """Each sample is an entry of FFmpeg's index, as those of PCM are not."""
    return box(b"samr", bytes(6), struct.pack(">H8xHHIHH", 1, 1, 16, 0, 8000, 0))


def alac(frame: int, channels: int) -> bytes:
    """A magic cookie that states frames of so many samples."""
    cookie = full(b"alac", struct.pack(">IBBBBBBHIII", frame, 0, 16, 40, 10, 14, channels, 255, 0, 0, RATE))
    return box(b"alac", bytes(6), struct.pack(">H8xHHIHH", 1, channels, 16, 0, RATE, 0), cookie)


def tables(times: Numbers, chunks: Numbers, sizes: Numbers, offsets: Numbers) -> list[bytes]:
    """What finds a track's samples."""
    kinds = {b"stts": times, b"stsc": chunks, b"stsz": sizes, b"stco": offsets}
    return [full(kind, numbers(*entries)) for kind, entries in kinds.items()]


def track(
    number: int = 1,
    samples: int = SAMPLES,
    offset: int = 0,
    entry: bytes | None = None,
    edits: bytes = b"",
    handler: bytes = b"soun",
    found_by: Sequence[bytes] | None = None,
    size: int = 1,
) -> bytes:
    """A track of one chunk, or with other tables."""
    if found_by is None:
        found_by = tables((1, samples, 1), (1, 1, samples, 1), (size, samples), (1, offset))
    description = full(b"stsd", numbers(1), entry or alaw())
    media = box(
        b"mdia",
        full(b"mdhd", numbers(0, 0, RATE, samples, 0x55C40000)),
        full(b"hdlr", numbers(0), handler, bytes(13)),
        box(b"minf", full(b"smhd", bytes(4)), box(b"stbl", description, *found_by)),
    )
    return box(b"trak", full(b"tkhd", numbers(0, 0, number, 0, samples), bytes(60), flags=3), edits, media)


def movie(*tracks: bytes, media: int = SAMPLES, more: bytes = b"") -> bytes:
    """The file; its media stand at byte 28, which is behind the first box and mdat's header."""
    header = full(b"mvhd", numbers(0, 0, RATE, SAMPLES, 0x10000), bytes(76), numbers(len(tracks) + 1))
    return FTYP + box(b"mdat", b"\xd5" * media) + box(b"moov", header, *tracks, more)


OFFSET = len(FTYP) + 8


def edit_list(size: int) -> bytes:
    """Edits that each ask for the whole track again."""
    count = max(1, size // 24)
    edits = box(b"edts", full(b"elst", numbers(count), numbers(2 * count, 0, 0x10000) * count))
    return movie(track(samples=2 * count, offset=OFFSET, edits=edits, entry=amr()), media=2 * count)


def tracks(size: int) -> bytes:
    one = track(2, samples=100, offset=OFFSET)
    return movie(track(offset=OFFSET), *[one] * max(1, size // len(one)))


def silent_tracks(size: int) -> bytes:
    """Tracks whose kind nobody knows."""
    one = track(2, samples=1, offset=OFFSET, handler=b"none", found_by=())
    return movie(track(offset=OFFSET), *[one] * max(1, size // len(one)))


def claims(samples: int, table: bytes) -> bytes:
    chunks = (1, 1, samples if table == b"stsc" else 1, 1)
    sizes = (1, samples if table != b"stco" else SAMPLES)
    offsets = (samples if table == b"stco" else 1, OFFSET)
    return movie(track(found_by=tables((1, samples, 1), chunks, sizes, offsets), entry=amr()))


def packed_index(_: int) -> bytes:
    index = bytes(200 << 20)
    packed = box(b"cmvd", numbers(len(index)), zlib.compress(index, 9))
    return FTYP + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), packed)) + box(b"mdat", bytes(100))


def fragments(size: int) -> bytes:
    """Fragments of one sample each."""
    header = full(b"mvhd", numbers(0, 0, RATE, 0, 0x10000), bytes(76), numbers(2))
    extends = box(b"mvex", full(b"trex", numbers(1, 1, 1, 1, 0)))
    content = full(b"tfhd", numbers(1)) + full(b"trun", numbers(1))
    fragment = box(b"moof", full(b"mfhd", numbers(1)), box(b"traf", content))
    empty = track(found_by=tables((0,), (0,), (0, 0), (0,)))
    parts = (
        FTYP,
        box(b"moov", header, empty, extends),
        repeated(fragment, size),
        box(b"mdat", b"\xd5" * 16_000),
    )
    return b"".join(parts)


def claimed_fragment(_: int) -> bytes:
    body = by_ffmpeg("mp4", "aac", tones(1.0, 44_100), 44_100, muxer={"movflags": "frag_keyframe+empty_moov"})
    at = body.rindex(b"trun")
    return body[: at + 4] + numbers(1, 80_000_000) + body[at + 12 :]


def tags(size: int) -> bytes:
    item = box(b"\xa9nam", box(b"data", numbers(1, 0), b"a"))
    listed = box(b"ilst", repeated(item, size))
    content = full(b"meta", full(b"hdlr", numbers(0), b"mdir", bytes(13)), listed)
    return movie(track(offset=OFFSET), more=box(b"udta", content))


def descriptions(size: int) -> bytes:
    entry = alaw()
    count = max(1, size // len(entry))
    body = movie(track(offset=OFFSET))
    return body.replace(numbers(1) + entry, numbers(count) + entry * count)  # sizes around it are too small


def nested(size: int) -> bytes:
    depth = size // 8
    content = b"".join(struct.pack(">I4s", 8 * (depth - level), b"udta") for level in range(depth))
    return movie(track(offset=OFFSET), more=content)


def free(size: int) -> bytes:
    return FTYP + repeated(box(b"free"), size) + movie(track(offset=OFFSET))[len(FTYP) :]


def large_frames(_: int) -> bytes:
    return movie(track(offset=OFFSET, samples=10, size=100, entry=alac(1 << 24, 8)))


ATTACKS = named(
    {
        "MP4: an edit list of the whole track again and again": edit_list,
        "MP4: tracks without end": tracks,
        "MP4: tracks of no kind": silent_tracks,
        "MP4: 80 million samples claimed": lambda _: claims(80_000_000, b"stsz"),
        "MP4: 80 million samples in a chunk claimed": lambda _: claims(80_000_000, b"stsc"),
        "MP4: 80 million chunks claimed": lambda _: claims(80_000_000, b"stco"),
        "MP4: 80 million samples in a fragment claimed": claimed_fragment,
        "MP4: an index packed by zlib": packed_index,
        "MP4: empty boxes without end": free,
        "MP4: fragments of one sample": fragments,
        "MP4: tags without end": tags,
        "MP4: sample descriptions without end": descriptions,
        "MP4: boxes in boxes": nested,
        "MP4: ALAC: frames of 16 million samples": large_frames,
    }
)
