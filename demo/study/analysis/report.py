"""The results of ``summarise`` as Markdown, for a terminal or a page: every number with its n."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from demo.study.analysis.models import TERMS
from demo.study.design.cells import cells
from demo.study.design.conditions import label, reference
from demo.study.design.config import StudyConfig
from demo.study.design.power import sizes_for

_DASH = "–"
_DIFFERENCE = "Difference, points (95% CI)"
_N_AND_P = ("n", "p", "p, Holm")


def text_summary(summary: dict) -> str:
    """Markdown with a table for each question: how right, how sensitive, how fast and sure, how much like the model,
    and the tests and models where the summary holds them."""
    conditions = summary["conditions"]
    tables = [_accuracy, _sensitivity, _time, _agreement, _parts] if conditions else []
    if any(one["over_reliance"]["n"] or one["under_reliance"]["n"] for one in conditions):
        tables.append(_reliance)
    if any(one["switched"]["n"] for one in conditions):
        tables.append(_switched)
    parts = [_head(summary), *(table(conditions) for table in tables)]
    if "tests" in summary:
        parts += [_tests(summary["tests"]), _models(summary["models"])]
    else:
        parts.append(f"## Tests\n\n{summary['hidden']}")
    return "\n\n".join(parts) + "\n"


def stimuli_text(made: dict) -> str:
    """What can be told of a study's pictures from their provenance (``demo.study.stimuli.make``): how often the methods
    are right in the test pairs, how far one gets without comparing faces, and how alike unrelated maps are."""
    lines = ["Right in the test pairs: " + ", ".join(
        f"{name} {number(100 - 100 * share, 0)} %" for name, share in made.get("wrong", {}).items()) + "."]
    rules = sorted(made.get("shortcuts", {}).items(), key=lambda one: -one[1])
    if rules:
        lines.append("Without comparing faces: " + ", ".join(
            f"{rule} {number(100 * share, 0)} %" for rule, share in rules[:3]) + " (the best of "
            f"{len(rules)} rules; 50 % is chance).")
    patterns = {name: value for name, value in made.get("position_pattern", {}).items() if value is not None}
    if patterns:
        lines.append("Likeness of unrelated pairs' maps (mean correlation): " + ", ".join(
            f"{label(name)} {number(value, 2)}" for name, value in patterns.items()) + (
            "; what they share was taken away." if made.get("pattern_subtracted") else "."))
    return "\n".join(lines)


def power_text(table: list[dict]) -> str:
    """Markdown of a power table (``demo.study.design.power``), in percent."""
    pairs = [_both(pair) for pair in table[0]["pairs"]]
    rows = [[str(row["n"]), *(number(100 * power, 0) for power in (row["friedman"], *_powers(row)))] for row in table]
    made = f"{table[0]['repetitions']} simulated studies each, alpha {table[0]['alpha']:g}, Holm over the pairs."
    return _table("Power: how often a difference is found, %", ["Participants", "Friedman", *pairs], rows, made)


def recommendation_text(config: StudyConfig, chosen: int | None) -> str:
    """How many participants a design needs (``power_for``), as Markdown."""
    count = len(cells(config))
    filled = f"a multiple of the {count} cells, so that each is filled equally often" if count > 1 else (
        "everybody gets the same plan")
    base = label(reference(config.conditions))
    if chosen is None:
        return (f"**No size up to {sizes_for(config)[-1]} is enough** to tell every condition from “{base}” in four of "
                "five studies: plan for more, give more pairs, or compare fewer conditions.")
    return (f"**{chosen} are recommended** for this design, {filled}: with so many, every condition is told from "
            f"“{base}” in at least four of five studies.")


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; a dash where there is none."""
    return _DASH if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def p_value(p: float | None) -> str:
    """p with three digits, as it is usually printed."""
    return _DASH if p is None else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def interval(ends: list[float] | None, digits: int = 1) -> str:
    """"54.1 to 62.0", or a dash."""
    return _DASH if ends is None else f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def rate(measure: dict) -> str:
    """A share in percent with its count and interval: "25.0 (4 of 16; 8.1 to 44.0)"; a dash where there is none."""
    if measure["value"] is None:
        return _DASH
    ends = f"; {interval(measure['ci'])}" if measure.get("ci") else ""
    return f"{number(measure['value'])} ({measure['k']} of {measure['n']}{ends})"


def _head(summary: dict) -> str:
    people, answers = summary["participants"], summary["answers"]
    planned = f" of {people['planned']} planned" if people["planned"] else ""
    lines = ["# Results of the study", "",
             f"Analysed: participants {people['analysed']}{planned}, answers {answers['analysed']}."]
    for what, left_out in (("Participants", people["left_out"]), ("Answers", answers["left_out"])):
        if left_out:
            lines.append(f"{what} left out: {', '.join(f'{count} {reason}' for reason, count in left_out.items())}.")
    if summary["preliminary"]:
        lines += ["", "**Preliminary**: the planned number of participants is not reached. Whoever stops at the first "
                  "small p finds differences that do not exist."]
    for note in summary["notes"]:
        lines += ["", note]
    return "\n".join(lines)


def _table(title: str, columns: list[str], rows: Iterable[list[str]], below: str = "") -> str:
    lines = [f"## {title}", "", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|",
             *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join([*lines, "", below] if below else lines)


def _accuracy(conditions: list[dict]) -> str:
    rows = []
    for one in conditions:
        found = one["accuracy"]
        spread = f"{number(found['mean'])} ± {number(found['sd'])} ({one['participants']})"
        rows.append([one["label"], f"{found['k']} of {found['n']}", number(found["value"], 2), spread,
                     interval(found["t_ci"]), interval(found["ci"])])
    return _table("Accuracy", ["Condition", "Correct", "%", "Mean ± SD over participants (n)", "95% CI, t",
                               "95% CI, bootstrap"], rows)


def _sensitivity(conditions: list[dict]) -> str:
    rows = []
    for one in conditions:
        sensitivity, criterion = one["d_prime"], one["criterion"]
        rows.append([one["label"], rate(one["hit_rate"]), rate(one["false_alarm_rate"]),
                     *(f"{number(found['value'], 2)} ({interval(found.get('ci'), 2)}; n {found['n']})"
                       for found in (sensitivity, criterion))])
    return _table("Sensitivity and criterion", ["Condition", "Hits %", "False alarms %", "d′ (95% CI)", "c (95% CI)"],
                  rows, "A hit is \"same\" to a pair of one person. c below 0 leans towards \"same\".")


def _time(conditions: list[dict]) -> str:
    rows = []
    for one in conditions:
        time, sure = one["rt_ms"], one["confidence"]
        rows.append([one["label"], _seconds(time), str(time["n"]), number(sure["value"], 2),
                     *(f"{number(sure[name]['value'], 2)} ({sure[name]['n']})" if name in sure else _DASH
                       for name in ("when_right", "when_wrong")),
                     ", ".join(f"{step['confidence']}: {number(step['value'], 0)} ({step['n']})"
                               for step in sure.get("calibration", [])) or _DASH])
    return _table("Time and confidence", ["Condition", "Median time of correct answers, s (quartiles)", "n",
                                          "Mean confidence", "when right (n)", "when wrong (n)",
                                          "% correct at each confidence (n)"], rows)


def _seconds(time: dict) -> str:
    if time["value"] is None:
        return _DASH
    low, high = time["iqr"]
    return f"{number(time['value'] / 1000, 2)} ({number(low / 1000, 2)} to {number(high / 1000, 2)})"


def _agreement(conditions: list[dict]) -> str:
    rows = []
    for one in conditions:
        beyond = one["over_baseline"]
        rows.append([one["label"], rate(one["model_accuracy"]), rate(one["agreement"]), _points(beyond["agreement"]),
                     rate(one["agreement_when_wrong"]), _points(beyond["agreement_when_wrong"]),
                     rate(one["disagreement_when_right"])])
    beyond = "Over no explanation, points"
    return _table("Agreement with the model", [
        "Condition", "Model right %", "Agreement %", beyond, "Agreement where it is wrong %", beyond,
        "Disagreement where it is right %"], rows,
        "Who judges by the photos alone agrees with a model too. Over no explanation: the difference to the same "
        "people's agreement where they saw nothing of it, on the same pairs (95% CI, t; n people).")


def _reliance(conditions: list[dict]) -> str:
    return _table("Reliance on the model", ["Condition", "Over-reliance %", "Under-reliance %"],
                  [[one["label"], rate(one["over_reliance"]), rate(one["under_reliance"])] for one in conditions],
                  "Over-reliance: a right first answer given up for the model's wrong decision. Under-reliance: a "
                  "wrong first answer kept against its right one.")


def _points(found: dict) -> str:
    if found["value"] is None:
        return _DASH
    return f"{number(found['value'])} ({interval(found.get('ci'))}; {found['n']})"


def _switched(conditions: list[dict]) -> str:
    rows = [[one["label"], rate(one["switched"]), f"{one['switched']['became_right']} of {one['switched']['k']}"]
            for one in conditions]
    return _table("Answers changed once the explanation was shown",
                  ["Condition", "Changed %", "To the right answer"], rows)


def _parts(conditions: list[dict]) -> str:
    kinds = [("by_truth", name) for name in ("same", "different")]
    kinds += [("by_occlusion", name) for name in sorted({kind for one in conditions for kind in one["by_occlusion"]})]
    titles = [{"same": "One person", "different": "Two people", "none": "Not covered"}.get(name, name.capitalize())
              for _, name in kinds]

    def shown(one: dict, at: str, name: str) -> str:
        return rate(one[at][name]["accuracy"]) if name in one[at] else _DASH
    return _table("Accuracy by kind of pair, %", ["Condition", *titles],
                  [[one["label"], *(shown(one, at, name) for at, name in kinds)] for one in conditions])


def _tests(tests: dict) -> str:
    omnibus = tests["omnibus"]
    if omnibus["p"] is None:
        text = f"No omnibus test (n {omnibus['n']}): {omnibus['reason']}."
    else:
        text = (f"Friedman χ²({omnibus['df']}) = {number(omnibus['statistic'], 2)}, p {_equals(omnibus['p'])}, "
                f"Kendall's W = {number(omnibus['kendall_w'], 2)}, n = {omnibus['n']}.")
    parts = [f"## Do the conditions differ?\n\n{text}"]
    if tests["pairs"]:
        rows = [[_both(one), _difference(one), number(one["rank_biserial"], 2), *_n_and_p(one)]
                for one in tests["pairs"]]
        parts.append(_table("Two conditions at a time", ["Conditions", _DIFFERENCE, "Rank-biserial", *_N_AND_P], rows,
                            _why(tests["pairs"]) or "Sign-flip permutation tests over participants."))
    rows = [[label(one["condition"]), number(one["chance"]), _difference(one), *_n_and_p(one)]
            for one in tests["chance"]]
    parts.append(_table("Against the best constant answer", ["Condition", "Best constant %", _DIFFERENCE, *_N_AND_P],
                        rows, _why(tests["chance"])))
    if "same_pairs" in tests:
        parts.append(_same_pairs(tests["same_pairs"]))
    return "\n\n".join(parts)


def _same_pairs(tests: dict) -> str:
    q = tests["cochran_q"]
    if q["p"] is None:
        text = f"No test: {q['reason']}."
    else:
        text = (f"Cochran's Q({q['df']}) = {number(q['statistic'], 2)}, p {_equals(q['p'])}, n = {q['n']} (one per "
                "participant and pair).")
    rows = [[_both(one), str(one["gained"]), str(one["lost"]), *_n_and_p(one)] for one in tests["mcnemar"]]
    return _table("The same pairs in every condition (McNemar)",
                  ["Conditions", "Wrong → right", "Right → wrong", *_N_AND_P], rows, text)


def _powers(row: dict) -> list[float]:
    return [pair["power"] for pair in row["pairs"]]


def _both(one: dict) -> str:
    return f"{label(one['b'])} − {label(one['a'])}"


def _n_and_p(one: dict) -> list[str]:
    return [str(one["n"]), p_value(one["p"]), p_value(one.get("p_holm"))]


def _models(models: dict) -> str:
    def block(title: str, name: str, ratio: str, extra: Callable[[dict], str]) -> str:
        model = models[name]
        if model["terms"] is None:
            return f"## {title}\n\nNot fitted (n {model['participants']}): {model['reason']}."
        rows = [[TERMS.get(term["term"], label(term["term"])), number(term[ratio], 2), interval(term["ci"], 2),
                 p_value(term.get("p")), p_value(term.get("p_holm"))]
                for term in model["terms"] if term["term"] != "intercept"]
        count = f"{model['participants']} participants, {model['answers']} answers"
        return _table(title, ["Against " + label(model["reference"]), "Ratio", "95% interval", "p", "p, Holm"], rows,
                      f"{count}; {extra(model)}.")

    return "\n\n".join([
        block("Odds of a right answer: logistic mixed model", "logistic_mixed", "odds_ratio",
              lambda model: f"SD of participants {number(model['participant_sd'], 2)}, of pairs "
              f"{number(model['pair_sd'], 2)} (logits); maximum likelihood by Laplace's approximation"),
        block("Odds of a right answer: GEE", "gee", "odds_ratio",
              lambda model: f"correlation within a participant {number(model['correlation'], 3)}"),
        block("Response time: mixed model of its logarithm", "log_rt", "time_ratio",
              lambda model: f"SD of participants {number(model['participant_sd'], 2)}, of pairs "
              f"{number(model['pair_sd'], 2)} (log ms); correct answers from 200 ms to 60 s")])


def _difference(one: dict) -> str:
    return f"{number(one['difference'])} ({interval(one['ci'])})"


def _why(tests: list[dict]) -> str:
    reasons = sorted({one["reason"] for one in tests if "reason" in one})
    return f"No p where {'; '.join(reasons)}." if reasons else ""


def _equals(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"
