"""How each country's telephone numbers are written: its calling code and its national prefix.

The values are libphonenumber's (9.0), which follows ITU-T E.164.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_ZERO = """
AE971 AF93 AL355 AM374 AR54 AT43 AU61 AX358 AZ994 BA387 BD880 BE32 BG359 BL590 BO591 BR55 CC61 CD243
CH41 CN86 CO57 CU53 CX61 DE49 DZ213 EC593 EG20 EH212 ER291 ET251 FI358 FR33 GB44 GE995 GF594 GG44
GH233 GP590 HR385 ID62 IE353 IL972 IM44 IN91 IQ964 IR98 JE44 JO962 JP81 KE254 KG996 KH855 KI686
KP850 KR82 LA856 LB961 LI423 LK94 LR231 LT370 LY218 MA212 MC377 MD373 ME382 MF590 MG261 MK389 MM95
MN976 MQ596 MW265 MY60 NA264 NG234 NL31 NP977 NZ64 PE51 PH63 PK92 PM508 PS970 PY595 RE262 RO40 RS381
RW250 SA966 SD249 SE46 SI386 SK421 SL232 SO252 SS211 SY963 TH66 TR90 TW886 TZ255 UA380 UG256 UY598
VE58 VN84 XK383 YE967 YT262 ZA27 ZM260 ZW263
"""
"""Countries whose national prefix is 0, with their codes."""
_NONE = """
AC247 AD376 AO244 AW297 BF226 BH973 BI257 BJ229 BN673 BQ599 BT975 BW267 BZ501 CF236 CG242 CI225
CK682 CL56 CM237 CR506 CV238 CW599 CY357 CZ420 DJ253 DK45 EE372 ES34 FJ679 FK500 FM691 FO298 GA241
GI350 GL299 GM220 GN224 GQ240 GR30 GT502 GW245 GY592 HK852 HN504 HT509 IO246 IS354 IT39 KM269 KW965
LS266 LU352 LV371 ML223 MO853 MR222 MT356 MU230 MV960 MX52 MZ258 NC687 NE227 NF672 NI505 NO47 NR674
NU683 OM968 PA507 PF689 PG675 PL48 PT351 PW680 QA974 SB677 SC248 SG65 SH290 SJ47 SM378 SN221 SR597
ST239 SV503 SZ268 TA290 TD235 TG228 TJ992 TK690 TL670 TN216 TO676 TV688 UZ998 VA39 VU678 WF681 WS685
"""
"""Countries without one: a leading zero, where there is one, belongs to the number."""
_NORTH_AMERICA = "AG AI AS BB BM BS CA DM DO GD GU JM KN KY LC MP MS PR SX TC TT US VC VG VI"
"""Countries that share the code 1 and the prefix 1, with ten digits after it."""


@dataclass(frozen=True, slots=True)
class Country:
    """How a country's numbers are written.

    Attributes:
        iso: ISO 3166's two letters.
        code: Calling code.
        prefix: National prefix; empty: none.
        length: Digits of a number with its prefix; 0: any.
    """

    iso: str
    code: str
    prefix: str
    length: int = 0


def _countries() -> Iterator[Country]:
    for prefix, text in (("0", _ZERO), ("", _NONE)):
        yield from (Country(one[:2], one[2:], prefix) for one in text.split())
    # An 8 or a 1 may begin a number itself: it is the prefix only where the number is longer.
    yield from (Country(iso, "1", "1", 11) for iso in _NORTH_AMERICA.split())
    yield from (Country(iso, "7", "8", 11) for iso in ("KZ", "RU"))
    yield from (Country("BY", "375", "80", 11), Country("TM", "993", "8", 9))
    yield from (Country("MH", "692", "1", 8), Country("HU", "36", "06"))


COUNTRIES = {country.iso: country for country in _countries()}
"""Every country by its two letters."""
