"""Every column of every exported table: its name, what it means and where it comes from. Makes the codebook."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from demo.methods import METHODS
from demo.study.design.conditions import DECIDED, DECISION
from demo.study.design.config import CLOCK_TOLERANCE_MS


@dataclass(frozen=True)
class Column:
    """name: in the header. source: SQL expression over the table's query. meaning: a sentence for the codebook."""

    name: str
    source: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """An exported table. file: its name without ending. rows: what one row is. query: FROM clause and order."""

    file: str
    rows: str
    query: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def read(self, db: sqlite3.Connection) -> Iterator[dict]:
        """The rows, one by one, as dicts of numbers, texts and None."""
        expressions = ", ".join(f"{column.source} AS {column.name}" for column in self.columns)
        for row in db.execute(f"SELECT {expressions} {self.query}"):
            yield dict(zip(self.names, row, strict=True))


def _as_stored(alias: str, **meanings: str) -> tuple[Column, ...]:
    """Columns that are exported as the table ``alias`` of the query holds them: name → meaning."""
    return tuple(Column(name, f"{alias}.{name}", meaning) for name, meaning in meanings.items())


_JUDGES = " or ".join(", ".join(word for word, one in METHODS.items() if one.verifies).rsplit(", ", 1))
_AGREE = "CASE WHEN r.answer IS NULL OR m.model_pred IS NULL THEN NULL ELSE (r.answer = 'same') = m.model_pred END"
_STUDY = _as_stored("p", study_id="The study.")
_PID = _as_stored("p", pid="As in responses_long.csv.")
#: Of a pair: what is known of its photos, and what the method shown says of them.
_PHOTOS = _as_stored("q", occl1="What covers the first photo: none, mask or glasses.",
                     occl2="The same of the second photo.")
_MODEL = (*_as_stored("m", model_pred="What the method shown decides: 1 = same; empty where none is shown."),
          Column("model_score", "m.score", "Its distance; smaller is nearer."),
          Column("model_threshold", "m.threshold", "Up to this distance it says same."),
          *_as_stored("m", model_correct="1 = the method is right."))

RESPONSES = Table(
    "responses_long", "one answered trial",
    """FROM response r JOIN plan t USING(pid, idx) JOIN participant p USING(pid) JOIN pair q ON q.pair_id = t.pair_id
       JOIN render m ON m.pair_id = t.pair_id AND m.condition = t.condition LEFT JOIN first_answer f USING(pid, idx)
       LEFT JOIN confidence c ON c.pid = r.pid AND c.idx = r.idx AND c.step = iif(f.pid IS NULL, 1, 2)
       LEFT JOIN confidence d ON d.pid = f.pid AND d.idx = f.idx AND d.step = 1
       ORDER BY p.created_utc, p.pid, r.idx""",
    (
        *_STUDY, *_as_stored("p", pid="The participant: a random number that identifies nobody."),
        *_as_stored("t", block="Block in the participant's order, from 0; a block shows one condition.",
                    pos="Place within the block's practice or test, from 0.",
                    phase="train = practice with feedback, main = test, attn = attention check.",
                    condition="What stood in the middle, see below.", pair_id="The pair, see pairs.csv."),
        *_as_stored("q", set_id="Set of the pair: A, B, ... = test, T = practice, X = attention check.",
                    same="1 = the photos show one person.",
                    check_kind="Of an attention check: identical (one photo twice), different (two people who look "
                    "nothing alike) or instructed (the question says what to answer)."),
        *_PHOTOS, *_as_stored("t", flip="1 = the second photo stood on the left."),
        *_as_stored("r", answer="same or diff; empty = the time ran out.",
                    correct="1 = the answer is right; empty without an answer."),
        Column("confidence", "coalesce(c.value, r.confidence)", "1 (guessing) to 4 (certain); empty where not given."),
        *_as_stored("r", rt_ms="Milliseconds from the last onset (all pictures decoded and shown) to the choice.",
                    rt_server_ms="The same as the server saw it, network included; only a check."),
        Column("flag_implausible", f"r.rt_ms > r.rt_server_ms + {CLOCK_TOLERANCE_MS}",
               f"1 = rt_ms is over {CLOCK_TOLERANCE_MS} ms longer than the server saw: the page or its network told no "
               "true time, and rt_server_ms counts for fast and slow."),
        *_as_stored("r", 
                    visible_ms="Part of rt_ms during which the page was visible.",
                    hidden_count="How often the page was hidden during the trial.",
                    n_onsets="How often the trial came on the screen (more than 1 after a refresh).",
                    input="key, mouse or touch.", flag_fast="1 = faster than the configuration's fast_ms (rt_ms, or "
                    "rt_server_ms where that is implausible).",
                    flag_slow="1 = slower than the configuration's slow_ms.",
                    flag_resumed="1 = answered after the page had been opened again."),
        *_MODEL, Column("agree", _AGREE, "1 = participant and method say the same."),
        Column("decision_shown", f"t.condition = '{DECISION.code}' OR t.condition LIKE '%{DECIDED}'",
               "1 = the participant was told what the method decides."),
        Column("excluded", "p.status = 'excluded'", "1 = the operator excluded the participant, see participants.csv."),
        *_as_stored("r", is_preview="1 = answered in the preview or the pilot, not in the live study.",
                    idx="Number of the trial in the session, from 0."),
        *_as_stored("p", status="The participant's, see participants.csv.",
                    mode="preview, pilot or live: what the study was in when the participant came."),
        Column("first_answer", "f.answer", "Two-step mode: the answer before the explanation was shown."),
        Column("first_confidence", "coalesce(d.value, f.confidence)", "Two-step mode: the confidence in it."),
        Column("first_rt_ms", "f.rt_ms", "Two-step mode: its response time."),
        Column("switched", "CASE WHEN f.pid IS NULL THEN NULL ELSE r.answer IS NOT f.answer END",
               "Two-step mode: 1 = changed after the explanation."),
        *_as_stored("r", recv_utc="When the server received the answer."),
    ))

PARTICIPANTS = Table(
    "participants", "one participant, with those who withdrew (of whom nothing else is left)",
    "FROM participant p ORDER BY p.created_utc, p.pid",
    (
        *_STUDY, *_PID,
        *_as_stored("p", mode="preview, pilot or live.", is_preview="1 = not in the live study.",
                    status="consented, active, completed, dropped (silent too long), excluded or withdrawn.",
                    exclude_reason="Why the operator excluded the participant.",
                    cell_row="Row of the Williams square: the order of the conditions.",
                    cell_rot="Rotation of the sets over the conditions."),
        Column("keys_swapped", "p.swapped", "1 = yes stood on the right (key J) and no on the left (key F)."),
        *_as_stored("p", screened_utc="When the comprehension check was failed for good."),
        Column("answered", "(SELECT count(*) FROM response r WHERE r.pid = p.pid)", "Trials answered."),
        Column("planned", "(SELECT count(*) FROM plan t WHERE t.pid = p.pid)", "Trials planned."),
        Column("page_loads", "p.session_epoch", "How often the page was opened."),
        *_as_stored("p", consent_utc="When consent was given.",
                    consent_sha256="SHA-256 of the consent text that was shown.",
                    completed_utc="When the last trial, and whatever was asked after it, was answered.",
                    last_seen_utc="Last sign of life.",
                    ua_family="Family of the browser.", viewport_w="Width of the page in CSS pixels.",
                    viewport_h="Height of the page in CSS pixels.", dpr="Device pixels per CSS pixel.",
                    tz_offset="Minutes from local time to UTC."),
    ))

PAIRS = Table(
    "pairs", "one pair in one condition",
    "FROM pair q JOIN render m USING(pair_id) ORDER BY q.pair_id, m.condition",
    (
        *_as_stored("q", pair_id="The pair.", set_id="Its set.",
                    img1_id="The first photo, as a path in the gallery.", img2_id="The second photo.",
                    same="1 = one person."),
        *_PHOTOS,
        *_as_stored("q", source1_sha256="SHA-256 of the first photo's file.",
                    source2_sha256="SHA-256 of the second photo's file.",
                    face1="The picture of the first face as shown.", face2="The picture of the second face as shown."),
        *_as_stored("m", condition="The condition.", panel1="The picture beside the first face.",
                    panel2="The picture beside the second face.", panel1_sha256="SHA-256 of that picture.",
                    panel2_sha256="SHA-256 of that picture.", model_id=f"Whose decision is explained: {_JUDGES}."),
        *_MODEL,
    ))

QUESTIONNAIRES = Table(
    "questionnaires", "one answered question",
    "FROM form q JOIN participant p USING(pid) ORDER BY p.created_utc, p.pid, q.place, q.attempt, q.rowid",
    (
        *_STUDY, *_PID,
        *_as_stored("q", form="The questionnaire's id in study.json.",
                    block="The round that it was about, from 0; empty for none.",
                    attempt="From 1; more than 1 of a comprehension check that was not right at once.",
                    item="The question's id in study.json.",
                    value="The answer: of a choice its number from 0, of a scale from 1; empty = left out."),
        *_as_stored("p", is_preview="1 = not in the live study."),
        *_as_stored("q", recv_utc="When the server received it."),
    ))

TABLES = (RESPONSES, PARTICIPANTS, PAIRS, QUESTIONNAIRES)
