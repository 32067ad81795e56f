"""What the operator sees: plain HTML, written here and nowhere else. Every text from outside goes through ``_text``."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache

from fastapi.responses import HTMLResponse

from demo.study.analysis import exclusions
from demo.study.analysis.plots import drawable
from demo.study.analysis.report import power_text, recommendation_text, text_summary
from demo.study.design.conditions import label
from demo.study.design.config import COUNTERBALANCING, StudyConfig
from demo.study.design.power import assumptions, power_for
from demo.study.records.store import MODES
from demo.study.session.overview import STATUSES, Overview
from demo.ui.study.desk import OpenStudy
from demo.ui.study.plain import markdown, page

_MODE_MEANS = {
    "preview": "Try it out yourself. Pages carry a watermark; answers are kept, marked, and left out of the results.",
    "pilot": "A rehearsal with real people, without watermark. Answers are kept, marked, and left out of the results.",
    "live": "The study runs, and answers count.",
    "closed": "Nobody new can begin. Whoever is in the middle may finish.",
}
_MODE_BUTTONS = {"preview": "Preview", "pilot": "Pilot", "live": "Open (live)", "closed": "Close"}
_FIGURE_MEANS = {
    "accuracy": "Accuracy by condition; the numbers are in the table Accuracy.",
    "sensitivity": "Sensitivity and criterion by condition; the numbers are in the table of that name.",
    "time": "Response time by condition; the numbers are in the table Time and confidence.",
    "agreement": "Agreement with the model by condition; the numbers are in the table Agreement with the model.",
}
#: Participants on one page.
_PER_PAGE = 50
_TABS = (("", "Overview"), ("/participants", "Participants"), ("/results", "Results"), ("/setup", "Setup"))
_STYLES = ("operator.css",)


def message(title: str, text: str, status: int, back: str = "") -> HTMLResponse:
    """A page with one sentence."""
    link = f'<p><a href="{back}">Back to the overview</a></p>' if back else ""
    return page(title, f"<main><h1>{_text(title)}</h1><p>{_text(text)}</p>{link}</main>", styles=_STYLES, status=status,
                frames="'none'")


def door(base: str, told: str, status: int) -> HTMLResponse:
    """The form for the password."""
    alert = f'<p class="problem" role="alert">{_text(told)}</p>' if told else ""
    return page("Operator", f"""<main class="narrow"><h1>Operator</h1>{alert}
<form method="post" action="{base}/enter"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<button class="primary">Sign in</button></form>
<p class="hint">The password is the one in DEMO_OPERATOR_PASSWORD where the app was started.</p></main>""",
                styles=_STYLES, status=status, frames="'none'")


def home(base: str, csrf: str, told: str, study: OpenStudy, now: Overview) -> HTMLResponse:
    """Mode, links, counts, data."""
    config, mirror = study.config, study.mirror
    buttons = "".join(f'<button name="mode" value="{mode}"{" disabled" if mode == now.mode else ""}>'
                      f"{_MODE_BUTTONS[mode]}</button>" for mode in MODES)
    copies = ""
    if mirror is not None:
        copies = f"<p>Last copy sent elsewhere: {_utc(mirror.sent_utc)}.</p>" + (
            f'<p class="problem">{_text(mirror.error)}</p>' if mirror.error else "")
    locked = f"Configuration and pictures are locked since {_utc(now.locked_utc)}." if now.locked_utc else (
        "The first participant of the live study locks configuration and pictures for good.")
    return _framed(base, csrf, "", f"{config.study_id}: {config.heading}", told, f"""
<section aria-labelledby="mode-title"><h2 id="mode-title">Mode: <strong class="mode">{now.mode}</strong></h2>
<p>{_MODE_MEANS[now.mode]} {locked}</p>
<form method="post" action="{base}/mode" class="row">{_csrf(csrf)}{buttons}</form></section>
<section aria-labelledby="link-title"><h2 id="link-title">Participants' link</h2>
<div class="row"><label class="sr" for="link">Link for participants</label><input id="link" readonly data-path="study">
<a class="button" href="{base.removesuffix('operator')}study" target="_blank" rel="noopener">{
        "See it as a participant (preview)" if now.mode == "preview" else "Open the participants' page"}</a></div>
<details><summary>With a recruiting service</summary><p>Prolific: append
<code>?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}&amp;STUDY_ID={{{{%STUDY_ID%}}}}&amp;SESSION_ID={{{{%SESSION_ID%}}}}</code>.
MTurk adds <code>workerId</code>, <code>assignmentId</code> and <code>hitId</code> by itself. Anybody else:
<code>?label=…</code>.
Codes and links for the end, for a full study and for who is screened out are settings of the study
(<code>completion_code</code>, <code>completion_url</code>, …). {_ids(config)}</p></details>
</section>
<div id="counts" data-path="operator/counts">{counts(config, now)}</div>
<section aria-labelledby="data-title"><h2 id="data-title">Data</h2><div class="row">
<form method="post" action="{base}/export">{_csrf(csrf)}<button class="primary">Export (zip)</button></form>
<form method="post" action="{base}/backup">{_csrf(csrf)}<button>Backup of the database</button></form>
<form method="post" action="{base}/payments">{_csrf(csrf)}<button>List for paying</button></form>
<a class="button" href="{base}/check">Check integrity</a></div>
<p class="hint">The zip holds all answers as a long table, participants, pairs, events, a codebook, the results and
SHA-256 sums. Preview, pilot and excluded participants are in it, marked.</p>{copies}</section>""",
                   scripts=("operator.js",))


def counts(config: StudyConfig, now: Overview) -> str:
    """The part of the overview that changes by itself."""
    rows = sorted({cell.row for cell, _, _ in now.cells})
    rotations = sorted({cell.rotation for cell, _, _ in now.cells})
    by_cell = {tuple(cell): (order, found) for cell, order, found in now.cells}
    grid = [[" → ".join(label(name) for name in by_cell[row, rotations[0]][0]),
             *(_cell(by_cell[row, rotation][1]) for rotation in rotations)] for row in rows]
    events = "".join(f"<li>{count} {what}</li>" for count, what in (
        (now.stale_tabs, "answers from an older tab, refused"),
        (now.failed_pictures, "pictures that did not load at once")) if count)
    planned = config.planned_n
    return f"""<section aria-labelledby="count-title"><h2 id="count-title">So far ({_text(now.counted)})</h2>
<p class="big"><strong>{now.complete}</strong> of {planned} planned participants are complete</p>
<progress max="{planned}" value="{min(now.complete, planned)}" aria-label="Complete participants"></progress>
{_table("Participants by state", [status.capitalize() for status in STATUSES],
            [[str(now.statuses[status]) for status in STATUSES]])}
<h3>Orders of the conditions, and rotations of the sets</h3>
{_table("Participants by cell", ["Order", *(f"Rotation {rotation + 1}" for rotation in rotations)], grid, head=True)}
<p class="hint">Complete + under way. A new participant gets the cell with the fewest.</p>
<h3>Conditions</h3>
{_table("Answers by condition", ["Condition", "Participants", "Test answers"],
            [[label(name), str(found), str(count)] for name, (found, count) in now.conditions.items()], head=True)}
{f"<ul>{events}</ul>" if events else ""}<p class="hint">As of {_utc(now.now_utc)}.</p></section>"""


def confirm_mode(base: str, csrf: str, study: OpenStudy, now: Overview, mode: str) -> HTMLResponse:
    """Before the mode changes: what that means."""
    lock = ("<p><strong>The first participant locks configuration and pictures for good.</strong></p>"
            if mode == "live" and not now.locked_utc else "")
    inside = now.statuses["consented"] + now.statuses["active"]
    there = f"<p>{inside} are in the middle of it ({now.counted}); they may finish.</p>" if inside else ""
    return _framed(base, csrf, "", f"Change the mode from {now.mode} to {mode}?", "", f"""
<section><p>{_MODE_MEANS[mode]}</p>{lock}{there}<form method="post" action="{base}/mode" class="row">{_csrf(csrf)}
<input type="hidden" name="sure" value="1"><button class="primary" name="mode" value="{mode}">Yes: {mode}</button>
<a class="button" href="{base}">No, keep {now.mode}</a></form></section>""")


def confirm_delete(base: str, csrf: str, pid: str) -> HTMLResponse:
    """Before a person is deleted."""
    return _framed(base, csrf, "/participants", "Delete a participant?", "", f"""
<section><p>Everything about participant <code>{_text(pid)}</code> is deleted for good, recruiting id and answers, as if
the person had withdrawn. To leave the answers out of the results only, exclude instead.</p>
<form method="post" action="{base}/delete" class="row">{_csrf(csrf)}
<input type="hidden" name="pid" value="{_text(pid)}"><input type="hidden" name="sure" value="1">
<button class="danger">Delete for good</button>
<a class="button" href="{base}/participants">No, keep</a></form></section>""")


def participants(base: str, csrf: str, told: str, config: StudyConfig, everybody: list[dict],
                 candidates: dict[str, list[str]], number: int = 1) -> HTMLResponse:
    """Participants with flags and forms to exclude, include or delete, _PER_PAGE at a time; candidates first, then the
    newest."""
    named = [one for one in everybody if one["pid"] in candidates and one["status"] != "excluded"]
    declared = f"The rule declared in the configuration: {'; '.join(exclusions.told(config.exclusion_rule))}."
    found = (f"<p>{len(named)} to decide about. The decision is yours.</p>" if named
             else "<p>Nobody meets the rule so far.</p>")
    wanted = {one["pid"] for one in named}
    ordered = sorted(everybody, key=lambda one: one["pid"] not in wanted)
    last = max(1, -(-len(ordered) // _PER_PAGE))
    number = min(number, last)
    here = ordered[(number - 1) * _PER_PAGE:number * _PER_PAGE]
    columns = ["Participant", "Mode", "State", "Cell", "Answered", "Flags", "Meets the rule", "Came, last seen (UTC)",
               "Screen", "Decision"]
    rows = [[f"<code>{one['pid']}</code>", _text(one["mode"]), _status(one),
             f"{one['cell_row'] + 1}/{one['cell_rot'] + 1}", f"{one['answered']} of {one['planned']}", _flags(one),
             _text("; ".join(candidates.get(one["pid"], ()))) or "–",
             "<br>".join(_utc(one[at]).removesuffix(" UTC") for at in ("created_utc", "last_seen_utc")), _device(one),
             _decide(base, csrf, one, candidates.get(one["pid"], ()))] for one in here]
    return _framed(base, csrf, "/participants", "Participants", told, f"""
<section aria-labelledby="rule"><h2 id="rule">Candidates for exclusion</h2>{found}
<p class="hint">{_text(declared)}</p></section>
<section aria-labelledby="all"><h2 id="all">Everybody ({len(everybody)})</h2>
{_table("All participants", columns, rows, head=True, raw=True)}{_turns(base, number, last)}
<p class="hint">Flags count answers: fast and slow by the limits above; resumed = answered after the page was opened
again; away = the page was hidden meanwhile; implausible = the page told a longer time than the server saw.</p>
</section>
<section aria-labelledby="code-title"><h2 id="code-title">Somebody withdraws by their code</h2>
<form method="post" action="{base}/delete" class="row">{_csrf(csrf)}<label for="code">Code</label>
<input id="code" name="code" required maxlength="64" autocomplete="off"><button>Find and delete …</button></form>
</section>""")


def _turns(base: str, number: int, last: int) -> str:
    if last == 1:
        return ""
    links = [f'<a class="button" href="{base}/participants?page={to}">{word}</a>'
             for to, word in ((number - 1, "Newer"), (number + 1, "Older")) if 1 <= to <= last]
    return f'<nav class="row" aria-label="Pages">{"".join(links)}<span>Page {number} of {last}</span></nav>'


def results(base: str, csrf: str, study: OpenStudy, summary: dict, *, peek: bool, preview: bool) -> HTMLResponse:
    """Figures and tables."""
    text = text_summary(summary).split("\n", 1)[1]  # its heading is the page's
    query = f"?peek={int(peek)}&amp;preview={int(preview)}"
    pictures = "".join(f'<img src="{base}/figures/{name}.png{query}" alt="{_FIGURE_MEANS[name]}" loading="lazy">'
                       for name in drawable(summary))
    choices = []
    if "tests" not in summary and summary["participants"]["analysed"]:
        choices.append(f'<a class="button" href="{base}/results?peek=1&amp;preview={int(preview)}">Peek at the results '
                       "(preliminary; the peek is recorded)</a>")
    other = "Only the live study" if preview else "With preview and pilot participants"
    choices.append(f'<a class="button" href="{base}/results?preview={int(not preview)}">{other}</a>')
    warning = ('<p class="problem">These results hold answers of the preview and the pilot: for trying out only.</p>'
               if preview else "")
    return _framed(base, csrf, "/results", "Results", "", f'<p class="row">{"".join(choices)}</p>{warning}'
                   f'<div class="figures">{pictures}</div><div class="report">{_report(text)}</div>')


def setup(base: str, csrf: str, study: OpenStudy) -> HTMLResponse:
    """How many participants, and the configuration, read-only."""
    config, row = study.config, study.store.study()
    values = asdict(config)
    texts, exclusion, forms = values.pop("texts"), values.pop("exclusion"), values.pop("questionnaires")
    values["questionnaires"] = ", ".join(form["id"] for form in forms) or "none"
    values["conditions"] = ", ".join(label(name) for name in config.conditions)
    values["counterbalancing"] += f": {COUNTERBALANCING[config.counterbalancing]}"
    settings = [[_text(name.replace("_", " ")), f'<span class="long">{_text(_value(value))}</span>']
                for name, value in (*values.items(), *exclusion.items())]
    locked = (f"Locked since {_utc(row['locked_utc'])}: nothing below can change any more." if row["locked_utc"] else
              "Not locked yet. To change something, edit <code>study.json</code> in the study's folder and start the "
              "app again; the first live participant locks it.")
    made = json.dumps(json.loads(row["weights_manifest_json"]), indent=1, ensure_ascii=False)
    hashes = [["Configuration", row["config_sha256"]], ["Pictures and pairs", row["stimuli_sha256"]],
              ["Consent text", row["consent_sha256"]]]
    return _framed(base, csrf, "/setup", "Setup", "", f"""
<section aria-labelledby="n"><h2 id="n">How many participants</h2>
{_power(config.to_json())}<p>This study plans {config.planned_n}; results stay hidden until then.</p></section>
<section aria-labelledby="config"><h2 id="config">Configuration</h2><p>{locked}</p>
{_table("Settings", ["Setting", "Value"], settings, head=True, raw=True)}
{_table("SHA-256", ["What", "Hash"], hashes, head=True)}
<details><summary>How the pictures were made</summary><pre tabindex="0">{_text(made)}</pre></details></section>
<section aria-labelledby="texts"><h2 id="texts">Texts</h2>{"".join(
        f'<details><summary>{_text(name)}</summary><div class="shown" lang="{_text(texts["lang"])}" '
        f'dir="{_text(texts["dir"])}">{markdown(text)}</div></details>'
        for name, text in {"all that is read before consenting": config.consent, **texts}.items())}</section>""")


def check(base: str, csrf: str, problems: list[str]) -> HTMLResponse:
    """The answer of ``demo.study.records.checks.verify``."""
    found = "".join(f"<li>{_text(one)}</li>" for one in problems)
    body = (f'<p class="problem" role="alert">{len(problems)} found:</p><ul>{found}</ul>' if problems else
            "<p>✓ The study is sound: every answer and every picture is as it was kept.</p>")
    return _framed(base, csrf, "", "Integrity", "", f'{body}<p><a href="{base}">Back to the overview</a></p>')


def _framed(base: str, csrf: str, here: str, title: str, told: str, body: str,
            scripts: tuple[str, ...] = ()) -> HTMLResponse:
    """A page with the navigation."""
    tabs = "".join(f'<a href="{base}{path}"{" aria-current=page" if path == here else ""}>{name}</a>'
                   for path, name in _TABS)
    note = f'<p class="told" role="status">{_text(told)}</p>' if told else ""
    return page(f"{title} · Operator", f"""<header class="bar"><nav aria-label="Operator">{tabs}</nav>
<form method="post" action="{base}/leave">{_csrf(csrf)}<button class="quiet">Sign out</button></form></header>
<main><h1>{_text(title)}</h1>{note}{body}</main>""", styles=_STYLES, scripts=scripts, frames="'none'")


def _table(caption: str, columns: list[str], rows: Iterable[list[str]], *, head: bool = False,
           raw: bool = False) -> str:
    """A table that scrolls sideways where it must. head: the first cell of a row names it. raw: cells are markup."""
    def cells(row: list[str]) -> str:
        parts = [value if raw else _text(value) for value in row]
        first = f'<th scope="row">{parts[0]}</th>' if head else f"<td>{parts[0]}</td>"
        return first + "".join(f"<td>{part}</td>" for part in parts[1:])
    top = "".join(f'<th scope="col">{_text(name)}</th>' for name in columns)
    return (f'<div class="wide" tabindex="0"><table><caption class="sr">{_text(caption)}</caption><thead><tr>{top}</tr>'
            f"</thead><tbody>{''.join(f'<tr>{cells(row)}</tr>' for row in rows)}</tbody></table></div>")


def _report(text: str) -> str:
    """Markdown whose tables scroll sideways where they must."""
    return markdown(text).replace("<table>", '<div class="wide" tabindex="0"><table>').replace(
        "</table>", "</table></div>")


@lru_cache(maxsize=2)
def _power(config_json: str) -> str:
    config = StudyConfig.from_json(config_json)
    if len(config.conditions) < 2:
        return "<p>With one condition there is nothing to compare.</p>"
    table, chosen = power_for(config, repetitions=200)
    return (markdown(recommendation_text(config, chosen)) + _report("#" + power_text(table))
            + markdown(assumptions(config)))


def _cell(found: dict[str, int]) -> str:
    under_way = found.get("consented", 0) + found.get("active", 0)
    return f"{found.get('completed', 0)} + {under_way}"


def _status(one: dict) -> str:
    reason = f"<br><small>{_text(one['exclude_reason'])}</small>" if one["exclude_reason"] else ""
    return _text(one["status"]) + reason


def _flags(one: dict) -> str:
    names = {"fast": "fast", "slow": "slow", "resumed": "resumed", "hidden": "away",
             "implausible": "implausible"}
    parts = [f"{one[key]} {name}" for key, name in names.items() if one[key]]
    if one["checks"]:
        parts.append(f"checks {one['checks'] - one['failed']} of {one['checks']} right")
    return _text(", ".join(parts)) or "–"


def _device(one: dict) -> str:
    size = f"{one['viewport_w']} × {one['viewport_h']}" if one["viewport_w"] else "–"
    return _text(f"{one['ua_family'] or ''} {size}".strip())


def _decide(base: str, csrf: str, one: dict, reasons: Iterable[str]) -> str:
    pid = one["pid"]
    if one["status"] == "withdrawn":
        return "–"
    known = f'{_csrf(csrf)}<input type="hidden" name="pid" value="{pid}">'
    gone = f'<form method="post" action="{base}/delete">{known}<button class="quiet">Delete …</button></form>'
    if one["status"] == "excluded":
        return f'<form method="post" action="{base}/include">{known}<button>Include again</button></form>{gone}'
    return (f'<form method="post" action="{base}/exclude" class="row">{known}<input name="reason" required '
            f'maxlength="500" aria-label="Reason to exclude {pid}" placeholder="Reason" '
            f'value="{_text("; ".join(reasons))}"><button>Exclude</button></form>{gone}')


def _ids(config: StudyConfig) -> str:
    return ("The service's ids are kept apart from the answers, for paying." if config.keep_ids else
            "Only a keyed hash of the service's ids is kept (<code>keep_ids</code>), so nobody can be paid by them.")


def _csrf(token: str) -> str:
    return f'<input type="hidden" name="csrf" value="{token}">'


def _utc(text: str | None) -> str:
    return f"{text[:10]} {text[11:16]} UTC" if text else "never"


def _value(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value) or "–"


def _text(value) -> str:
    return html.escape(str(value))
