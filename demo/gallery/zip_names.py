"""Names of files in a zip that does not say how they are written: all of them are read in one way, whichever fits them
best, and where that is a guess it is told."""

from __future__ import annotations

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

#: Flag of a name in UTF-8; extra field that holds one (Info-ZIP's Unicode Path).
_UTF8, _UNICODE_PATH = 0x800, 0x7075

_JAPANESE = frozenset(
    "一二三四五六七八九十山川田中村上下本木林森石井藤佐伊加近遠後斎斉高橋小大野原松竹梅桜渡辺邉部鈴鹿吉岡島嶋崎清水池谷沢澤福菊千葉長"
    "前坂阪金太郎次男子美恵智香織里奈菜花愛优翔陽葵蓮結衣真由優希望月星空海光明正義和幸夫雄英健康一樹直哉也之介助輔彦人仁誠信浩博弘裕"
    "祐悠斗拓実隆貴孝久司史志朗良亮涼凛莉紗咲穂麻友有紀子典則憲雅俊敏勝利勇武剛進宏広洋浜横内外東西南北新古市町今青赤白黒写真像家族集"
    "合年日旅行顔")
_CHINESE = frozenset(
    "王李欧阳锋张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦"
    "付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤小明红伟芳娜敏静丽强磊军洋勇艳杰娟涛超秀霞平刚桂英华玉兰春梅"
    "建国文志海峰鹏飞宇浩然子涵轩雨晨阳佳欣怡雪婷慧琳莉晓东家辉俊凯鑫思颖美玲天一大三中山水上新民生学永光成德云丹丽萍建波斌宁亮健")
_TRADITIONAL = frozenset(
    "陳林黃張李王吳劉蔡楊許鄭謝洪郭邱曾廖賴徐周葉蘇莊呂江何蕭羅高潘簡朱鍾游彭詹胡施沈余盧梁趙顏柯翁魏孫戴范方宋鄧杜傅侯曹薛丁卓阮馬董"
    "溫唐藍石蔣田康鄒白涂尤巫韓龔嚴袁黎小明美玲淑芬惠雅婷怡君家豪志偉俊傑建宏國華文雄冠宇宗翰佳穎詩涵承恩品妍宥廷子晴欣心大中山照片")
_KOREAN = frozenset(
    "김이박최정강조윤장임한오서신권황안송류유전홍고문양손배백허남심노하곽성차주우구나민진지현준영수은경미희숙자순정호철훈재석동상용태기원"
    "성도윤예서연아린채소다혜선화나라가인세승찬빈건규환열욱범식일병창만명봉복삼사진가족여행얼굴")
_RUSSIAN, _GREEK = frozenset("оеаинтсрвлкмдпуяыгзбю"), frozenset("αοιετσνηυρπκμλςάίόγδ")
_ACCENTED = frozenset("áéíóúàèìòùâêîôûäëïöüãõñçåøæœßšžčćęąłńśżźřěůýďťňőűğşı")


def _hangul(letter: str) -> float:
    return 1.0 if letter in _KOREAN else 0.6 if "\uac00" <= letter <= "\ud7a3" else 0.1


def _ideographs(common: frozenset[str], page: str, last: int, kana: float) -> Callable[[str], float]:
    """page, last: up to which first byte of which code page the usual ideographs stand. kana: how well they fit."""
    def fits(letter: str) -> float:
        if letter in common:
            return 1.0
        if "\u3041" <= letter <= "\u30ff" or letter == "々":
            return kana
        if "\uff66" <= letter <= "\uff9f":  # half as wide
            return kana * 0.6
        if "\u4e00" <= letter <= "\u9fff":
            return 0.65 if letter.encode(page, "replace")[0] <= last else 0.3
        return 0.1

    return fits


def _alphabet(first: str, last: str, common: frozenset[str], rest: float) -> Callable[[str], float]:
    """rest: how well letters fit that are not the common ones."""
    def fits(letter: str) -> float:
        if not (first <= letter <= last and unicodedata.category(letter)[0] in "LM"):
            return 0.0
        return 1.0 if letter.lower() in common else rest

    return fits


_CYRILLIC = _alphabet("\u0400", "\u0491", _RUSSIAN, 0.7)
_HELLENIC = _alphabet("\u0370", "\u03ff", _GREEK, 0.6)
_HEBREW = _alphabet("\u05d0", "\u05ea", frozenset(), 0.85)
_ARABIC = _alphabet("\u0621", "\u06d2", frozenset("ابدرسعلمنهويةحف"), 0.5)
_THAI = _alphabet("\u0e01", "\u0e4e", frozenset("านรอกเงมยลวดสัิี่้ชพ"), 0.4)


def _latin(letter: str) -> float:
    if letter.lower() in _ACCENTED:
        return 0.85
    return 0.5 if letter.isalpha() and letter <= "\u024f" and letter not in "ªºƒµ" else 0.0


@dataclass(frozen=True)
class _Code:
    """A code page. name: of the language, for a sentence. fits: letter beyond ASCII → how well it goes with names of
    that language, 0 to 1."""

    page: str
    name: str
    fits: Callable[[str], float]

    def read(self, names: Sequence[bytes]) -> list[str] | None:
        try:
            return [name.decode(self.page) for name in names]
        except UnicodeDecodeError:
            return None

    def score(self, names: Iterable[str]) -> float:
        """Mean of how well letters go with names of the language, and words with themselves."""
        marks = [mark for name in dict.fromkeys(names) for word in _WORD.findall(name) for mark in self._marks(word)]
        return sum(marks) / len(marks) if marks else 0.0

    def _marks(self, word: str) -> list[float]:
        marks, latin = [], self.fits is _latin
        wide = word != word.lower() or word != word.upper()  # letters that are large or small
        usual = 1.0 if latin or not wide or (word[0].isupper() and (len(word) < 2 or not word.isupper())) else 0.85
        for before, letter in zip(" " + word, word, strict=False):
            if letter.isascii():
                continue
            mark = self.fits(letter)
            if letter.isupper() and before.islower():  # no word changes so
                mark *= 0.3
            if latin and not before.isascii():  # nor has many accents
                mark *= 0.6
            if not latin and before.isascii() and before.isalpha():  # or letters of two alphabets
                mark *= 0.2 if wide or letter < "\u1000" else 0.8
            marks.append(mark * usual)
        return marks


_WORD = re.compile(r"[^\s/\\._()\[\]{}+=,;!#$%&'@~-]+")
#: Of equal ones the first is taken.
_CODES = (
    _Code("cp437", "Western European", _latin), _Code("cp850", "Western European", _latin),
    _Code("cp1252", "Western European", _latin), _Code("cp852", "Central European", _latin),
    _Code("cp1250", "Central European", _latin), _Code("cp857", "Turkish", _latin), _Code("cp1254", "Turkish", _latin),
    _Code("cp866", "Cyrillic", _CYRILLIC), _Code("cp1251", "Cyrillic", _CYRILLIC),
    _Code("koi8_r", "Cyrillic", _CYRILLIC),
    _Code("cp932", "Japanese", _ideographs(_JAPANESE, "cp932", 0x98, 0.95)),
    _Code("euc_jp", "Japanese", _ideographs(_JAPANESE, "cp932", 0x98, 0.95)),
    _Code("gb18030", "Chinese", _ideographs(_CHINESE, "gb18030", 0xd7, 0.3)),
    _Code("cp950", "Chinese (traditional)", _ideographs(_TRADITIONAL, "cp950", 0xc6, 0.3)),
    _Code("cp949", "Korean", _hangul), _Code("cp737", "Greek", _HELLENIC), _Code("cp1253", "Greek", _HELLENIC),
    _Code("cp862", "Hebrew", _HEBREW), _Code("cp1255", "Hebrew", _HEBREW), _Code("cp720", "Arabic", _ARABIC),
    _Code("cp1256", "Arabic", _ARABIC), _Code("cp874", "Thai", _THAI),
)
#: A guess that is not so much better than the next, or not so good, or of fewer bytes beyond ASCII, may be wrong.
_MARGIN, _GOOD, _FEWEST = 0.1, 0.6, 6


def read_names(members: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str]:
    """The names of files in a zip, and a sentence that tells as what they were read where the zip does not say it; ""
    where nothing was guessed."""
    found = [_told_name(member) for member in members]
    unsaid = [_bytes(member) for member, name in zip(members, found, strict=True) if name is None]
    read, note = _guessed(unsaid) if unsaid else ([], "")
    rest = iter(read)
    return [next(rest) if name is None else name for name in found], note


def _told_name(member: zipfile.ZipInfo) -> str | None:
    """A name as the zip says that it is; None where it says nothing."""
    name = member.orig_filename.split("\0")[0]
    if member.flag_bits & _UTF8 or name.isascii():
        return name
    at = 0
    while at + 4 <= len(member.extra):
        kind, size = struct.unpack_from("<HH", member.extra, at)
        field = member.extra[at + 4:at + 4 + size]
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            (check,) = struct.unpack_from("<I", field, 1)
            try:
                if check == zlib.crc32(_bytes(member)):
                    return field[5:].decode()
            except UnicodeError:
                pass
        at += 4 + size
    return None


def _bytes(member: zipfile.ZipInfo) -> bytes:
    """A name as it is written; without the flag of UTF-8 Python reads the code page of the first PCs."""
    return member.orig_filename.split("\0")[0].encode("cp437")


def _guessed(names: Sequence[bytes]) -> tuple[list[str], str]:
    try:
        return [name.decode() for name in names], ""  # nothing else is valid UTF-8 by chance
    except UnicodeDecodeError:
        pass
    best: dict[tuple[str, ...], tuple[float, _Code]] = {}
    for code in _CODES:
        read = code.read(names)
        if read is not None:
            score = code.score(read)
            if score > best.get(tuple(read), (-1.0, code))[0]:
                best[tuple(read)] = score, code
    ranked = sorted(best.items(), key=lambda one: -one[1][0])
    (read, (score, code)), second = ranked[0], ranked[1][1][0] if len(ranked) > 1 else 0.0
    beyond = sum(byte > 127 for name in set(names) for byte in name)
    doubt = score < _GOOD or score - second < _MARGIN or beyond < _FEWEST
    return list(read), (
        f"The zip does not say how its names are written: they were read as {code.name} ({code.page})"
        + (", which is uncertain, so that names may be garbled: compare them, or make the zip with names in UTF-8."
           if doubt else "."))
