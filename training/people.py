"""Whose voices, beyond the six named ones, Debian's packages hold: who may train, who calibrates, who is held out.

A folder of a package counts as a person where its credits name one, and as an unnamed person where every file sounds
alike in rate and room. Folders in one language of volunteer projects may hold the same volunteer: they share a
``group``, stand in one role together, and are never compared with each other as two people.

Licences. The named voices are CC-BY-SA-3.0, CC-BY-3.0 and BSD-like. CC-BY-SA-3.0 lets an adaptation be passed on under
CC-BY-SA-4.0, which lets one be passed on under GPL-3; the voices that train here are GPL-2 or later, GPL-3 or CC-BY,
so weights that learned from all of them are passed on under GPL-3. What is GPL-2 alone (fillets-ng,
asterisk-prompt-es-co) or GFDL-1.3 (hedgewars-data) cannot join them: those people are only ever measured on.
"""

from dataclasses import dataclass

from training.packages import Package
from training.voices import Voice

PACKAGES = (
    Package(
        "tuxpaint-stamps-default",
        "2022.06.04-1",
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    ),
    Package(
        "klettres-data", "4:22.12.3-1", "1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8"
    ),
    Package(
        "ktuberling-data", "4:22.12.3-1", "fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed"
    ),
    Package("gcin-voice", "0~20170223-3", "6a0353f0294d06f7bd901bada3d5d9eec63b66c2ec029f92da3124d93d45de70"),
    Package(
        "fillets-ng-data-cs", "1.0.1-1.1", "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14"
    ),
    Package(
        "fillets-ng-data-nl", "1.0.1-1.1", "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10"
    ),
    Package("hedgewars-data", "1.0.2-6", "722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761"),
    Package(
        "asterisk-prompt-es-co",
        "0.20070403-2.1",
        "6702696e045514699e87dc8fb70f370717e5df91f821f7bec8dd0df1be008e83",
    ),
)

TRAIN, CALIBRATION, HELD_OUT = ROLES = ("train", "calibration", "held_out")


@dataclass(frozen=True)
class Person(Voice):
    """One person's recordings; ``folder`` is the package's own, ``files`` a pattern of paths below it."""

    files: str = r"\.(ogg|opus|wav|gsm)$"
    role: str = TRAIN
    group: str = ""  # people who may be one; empty: nobody else
    credit: str = ""  # who the package's files say it is

    @property
    def key(self) -> str:
        """What may be one person: compared as one."""
        return self.group or self.speaker


def _tuxpaint(language: str, credit: str, role: str = TRAIN, group: str = "") -> Person:
    """Tux Paint's stamps, described aloud: a word to a sentence each."""
    suffix = "" if language == "en" else f"_{language}"
    return Person(
        f"tuxpaint-{language}",
        language,
        "usr/share/tuxpaint/stamps",
        "tuxpaint-stamps-default",
        "GPL-2+",
        44_100,
        rf"_desc{suffix}\.ogg$",
        role,
        group,
        credit,
    )


def _klettres(locale: str, credit: str, role: str = TRAIN, group: str = "") -> Person:
    """KLettres: the letters and syllables of a language."""
    folder = f"usr/share/klettres/{locale}"
    language = locale.split("_")[0]
    return Person(
        f"klettres-{locale}",
        language,
        folder,
        "klettres-data",
        "GPL-2+",
        44_100,
        r"\.ogg$",
        role,
        group,
        credit,
    )


def _ktuberling(language: str, role: str = TRAIN, group: str = "") -> Person:
    """KTuberling: the names of things, spoken when one is dragged onto the picture. No credits."""
    return Person(
        f"ktuberling-{language}",
        language,
        f"usr/share/ktuberling/sounds/{language}",
        "ktuberling-data",
        "GPL-2+",
        44_100,
        role=role,
        group=group,
    )


def _gcin(file: str, licence: str, credit: str) -> Person:
    return Person(
        f"gcin-{file}",
        "zh",
        "usr/share/gcin-voice/ogg",
        "gcin-voice",
        licence,
        44_100,
        rf"/{file}\.ogg$",
        TRAIN,
        "",
        credit,
    )


def _fillets(language: str, hero: str) -> Person:
    """The dubbed game Fish Fillets: file names say which of its two heroes speaks (m: small fish, v: big fish)."""
    return Person(
        f"fillets-{language}-{hero}",
        language,
        "usr/share/games/fillets-ng/sound",
        f"fillets-ng-data-{language}",
        "GPL-2",
        22_050,
        rf"/{language}/[^/]*-{hero}-[^/]*\.ogg$",
        HELD_OUT,
    )


def _hedgewars(pack: str, language: str, group: str = "") -> Person:
    """Hedgewars: shouts in character; who spoke which pack is not said."""
    folder = f"usr/share/games/hedgewars/Data/Sounds/voices/{pack}"
    licence = "GFDL-1.3"
    return Person(
        f"hedgewars-{pack.lower()}",
        language,
        folder,
        "hedgewars-data",
        licence,
        44_100,
        role=HELD_OUT,
        group=group,
    )


PEOPLE = (
    _tuxpaint("be", "Kseniya Buraya"),
    _tuxpaint("bg", "Krasimir Petkov"),
    _tuxpaint("ca", "Pere Pujal Carabantes"),
    _tuxpaint("da", "Joe Dalton"),
    _tuxpaint("en", ""),
    _tuxpaint("es", "Estefanía Ortiz"),
    _tuxpaint("fr", "PaulK"),
    _tuxpaint("ro", ""),
    _tuxpaint("ru", ""),
    _klettres("da", "Erik Kjaer Pedersen"),
    _klettres("de", "Helmut Kriege"),
    _klettres("en", "Robert Wadley"),
    _klettres("en_GB", ""),
    _klettres("fr", "Ludovic Grossard"),
    _klettres("it", "Pietro Pasotti"),
    _klettres("nb", ""),
    _klettres("ru", ""),
    _ktuberling("ca"),
    _ktuberling("da"),
    _ktuberling("de"),
    _ktuberling("en"),
    _ktuberling("fr"),
    _ktuberling("it"),
    _ktuberling("pt"),
    _ktuberling("ro"),
    _ktuberling("ru"),
    _ktuberling("sr"),
    _gcin("3", "GPL-3 or LGPL-3", "Edward Der-Hua Liu"),
    _gcin("5", "CC-BY-3.0", "Chu Lo (ChionMeilin)"),
    _ktuberling("nn", CALIBRATION),
    _ktuberling("lt", CALIBRATION, "lithuanian volunteers"),
    _klettres("lt", "", CALIBRATION, "lithuanian volunteers"),
    _tuxpaint("lt", "schoolsplay.org", CALIBRATION, "lithuanian volunteers"),
    _ktuberling("uk", CALIBRATION, "ukrainian volunteers"),
    _klettres("uk", "", CALIBRATION, "ukrainian volunteers"),
    _ktuberling("gl", CALIBRATION),
    _ktuberling("wa", CALIBRATION),
    _klettres("ar", "", CALIBRATION),
    _tuxpaint("el", "Kiriaki Serafeim", HELD_OUT, "greek volunteers"),
    _ktuberling("el", HELD_OUT, "greek volunteers"),
    _klettres("cs", "Eva Mikulčíková", HELD_OUT),
    _klettres("he", "Assaf Gordon", HELD_OUT),
    _klettres("hu", "", HELD_OUT),
    _klettres("ml", "", HELD_OUT),
    _klettres("nl", "Geert Stams", HELD_OUT, "dutch volunteers"),
    _tuxpaint("nl", "", HELD_OUT, "dutch volunteers"),
    _klettres("tn", "", HELD_OUT),
    _ktuberling("fi", HELD_OUT),
    _ktuberling("sl", HELD_OUT),
    _ktuberling("sv", HELD_OUT),
    _fillets("cs", "m"),
    _fillets("cs", "v"),
    _fillets("nl", "m"),
    _fillets("nl", "v"),
    Person(
        "asterisk-es-co",
        "es",
        "usr/share/asterisk/sounds/es",
        "asterisk-prompt-es-co",
        "GPL-2",
        8_000,
        role=HELD_OUT,
        credit="July E. Jiménez",
    ),
    *(
        _hedgewars(pack, language, "hedgewars actors")
        for pack, language in (
            ("British", "en"),
            ("Classic", "en"),
            ("Default", "en"),
            ("Default_es", "es"),
            ("Default_pl", "pl"),
            ("Default_ru", "ru"),
            ("Default_uk", "uk"),
            ("HillBilly", "en"),
            ("Mobster", "en"),
            ("Pirate", "en"),
            ("Russian", "en"),
            ("Russian_pl", "pl"),
            ("Surfer", "en"),
        )
    ),
)


def of_role(role: str) -> list[Person]:
    return [person for person in PEOPLE if person.role == role]
