"""Whose voices the demo model knows: six people, seven folders of prompts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """One folder of prompts: one person speaking one language."""

    speaker: str  # the label; a person with two folders has one label
    language: str  # ISO 639-1
    folder: str  # under usr/share/asterisk/sounds
    package: str
    licence: str  # as the package's copyright file states it; quoted in the model card
    sample_rate: int  # Hz, as recorded in the package


VOICES = (
    Voice("allison_smith", "en", "en_US_f_Allison", "asterisk-core-sounds-en-g722", "CC-BY-SA-3.0", 16_000),
    Voice("allison_smith", "es", "es_MX_f_Allison", "asterisk-core-sounds-es-g722", "CC-BY-SA-3.0", 16_000),
    Voice("june_wallack", "fr", "fr_CA_f_June", "asterisk-core-sounds-fr-g722", "CC-BY-SA-3.0", 16_000),
    Voice("carlo_flora", "it", "it_IT_m_Carlo", "asterisk-core-sounds-it-g722", "CC-BY-3.0", 16_000),
    Voice("ivrvoice_ru", "ru", "ru_RU_f_IvrvoiceRU", "asterisk-core-sounds-ru-g722", "CC-BY-3.0", 16_000),
    Voice("armelle_desjardins", "fr", "fr", "asterisk-prompt-fr-armelle", "BSD-like", 8_000),
    Voice(
        "paola_dal_zot", "it", "it_IT_f_Menardi", "asterisk-prompt-it-menardi-wav", "CC-BY-SA-3.0-IT", 8_000
    ),
)

LABELS = tuple(sorted({voice.speaker for voice in VOICES}))
