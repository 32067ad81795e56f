"""A preregistration of a study, written from its configuration and pictures before the first answer counts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import demo
from demo.study.analysis.exclusions import told
from demo.study.analysis.inference import FEWEST, FLIPS
from demo.study.analysis.measures import RESAMPLES
from demo.study.analysis.models import RT_RANGE
from demo.study.analysis.report import power_text, recommendation_text, stimuli_text
from demo.study.design.cells import blocks, cells
from demo.study.design.conditions import described, label, reference, shows_decision
from demo.study.design.config import COUNTERBALANCING, StudyConfig
from demo.study.design.power import assumptions, power_for


def preregistration(config: StudyConfig, made: Mapping, stimuli_sha256: str, *, key_id: str = "",
                    chain_head: str = "", locked_utc: str | None = None, live: int = 0,
                    expected: Mapping[str, float] | None = None, repetitions: int = 400) -> str:
    """Markdown: question, hypotheses, design, exclusions, analysis, sample size and hashes.

    made, stimuli_sha256: provenance and hash of the pictures. key_id, chain_head: of the chain of hashes. locked_utc,
    live: since when the study is locked and how many live participants have begun; who registers late says so.
    expected: condition → accuracy (0 to 1) to compute the power with.
    """
    names = [f"- `{name}`: {described(name).title}" for name in config.conditions]
    parts = [
        f"# Preregistration: {config.heading}", _status(config, locked_utc, live),
        "## Question\n\nDo explanations of a face matcher's comparison change how well people decide whether two "
        "photos show the same person?\n\nConditions:\n\n" + "\n".join(names),
        "## Hypotheses\n\n" + "\n".join(_hypotheses(config)),
        "## Design\n\n" + "\n".join(f"- {line}" for line in _design(config)),
        "## Materials\n\n" + stimuli_text(dict(made)),
        "## Exclusions\n\n" + _exclusions(config),
        "## Analysis\n\n" + "\n".join(f"{at}. {line}" for at, line in enumerate(_analysis(config), start=1)),
        _size(config, expected, repetitions),
        "## Fixed by hashes (SHA-256)\n\n" + _hashes(config, made, stimuli_sha256, key_id, chain_head)]
    return "\n\n".join(parts) + "\n"


def _status(config: StudyConfig, locked_utc: str | None, live: int) -> str:
    when = f"locked since {locked_utc}" if locked_utc else "not locked yet"
    begun = f"{live or 'No'} participants of the live study have begun"
    return (f"Study `{config.study_id}`, program version {demo.__version__}. {begun}; configuration and pictures are "
            f"{when}. Answers of the preview and the pilot are marked and left out.")


def _hypotheses(config: StudyConfig) -> list[str]:
    base = reference(config.conditions)
    others = [name for name in config.conditions if name != base]
    lines = [f"- H{at}: accuracy differs between “{label(name)}” and “{label(base)}”."
             for at, name in enumerate(others, start=1)]
    lines += [f"- Exploratory: accuracy differs between “{label(a)}” and “{label(b)}”."
              for a, b in combinations(others, 2)]
    if config.two_step and any(map(shows_decision, config.conditions)):
        lines.append("- Exploratory: over- and under-reliance differ between the conditions that show the decision.")
    return lines or ["- One condition only: its accuracy is above that of the best constant answer."]


def _design(config: StudyConfig) -> list[str]:
    count = len(cells(config))
    forms = ", ".join(f"{form['id']} ({form['when']})" for form in config.questionnaires)
    order = [" → ".join(label(name) for name, _ in blocks(config, cell)) for cell in cells(config) if not cell.rotation]
    limit = f"{config.max_seconds:g} s" if config.max_seconds else "none"
    return [
        f"Within subjects, one round per condition. {config.counterbalancing}: "
        f"{COUNTERBALANCING[config.counterbalancing]}. Cells: {count}. Orders: {'; '.join(order)}.",
        f"{config.pairs_per_set} test pairs per round, {config.training_pairs} practice pairs with feedback before "
        f"them, {config.attention_per_block} attention checks among them.",
        "New participants go to the cell with the fewest complete and active; ties by a keyed hash. Order of pairs, "
        "sides and practice are drawn per participant from a secret.",
        "Each pair is answered twice, first without explanation and decision." if config.two_step
        else "Each pair is answered once.",
        f"Confidence 1 to 4 after each answer, stored apart from it: {_yes(config.confidence)}. Time limit: {limit}.",
        f"Questionnaires: {forms or 'none'}.",
        f"Language {config.texts['lang']}. Keys change places for half of the participants: {_yes(config.swap_keys)}."]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _exclusions(config: StudyConfig) -> str:
    return ("Candidates for exclusion, found by the program before results are looked at; the decision and its reason "
            "are recorded:\n\n" + "\n".join(f"- {line}" for line in told(config.exclusion_rule))
            + "\n\nLeft out besides: who did not finish, who withdrew, who failed the comprehension check twice, "
            "answers after the time limit.")


def _analysis(config: StudyConfig) -> list[str]:
    low, high = RT_RANGE
    lines = [
        "Primary: logistic mixed model of a right answer with condition (reference: "
        f"{label(reference(config.conditions))}) and place of the round as fixed effects, crossed random intercepts of "
        "participant and pair; maximum likelihood by Laplace's approximation; Wald tests, two-sided, alpha .05, Holm "
        "over the hypotheses H1 and following.",
        f"Confirmation without that model: sign-flip permutation tests ({FLIPS:,} flips) of the participants' "
        "differences, Holm over all pairs of conditions; Friedman's test with Kendall's W over all. At least "
        f"{FEWEST} participants.",
        "Beside it: GEE with an exchangeable correlation and a small-sample covariance.",
        f"Described: accuracy with 95 % t and bootstrap intervals ({RESAMPLES:,} resamples of participants), d' and "
        "criterion, agreement with the model less that of answers which saw nothing of it.",
        f"Response time: linear mixed model of log time, right answers, {low:g} ms to {high / 1000:g} s."]
    if len(config.conditions) < 2:
        lines = [f"Primary: sign-flip permutation test ({FLIPS:,} flips) of the participants' accuracies against the "
                 f"best constant answer, two-sided, alpha .05. At least {FEWEST} participants.", lines[3]]
    if config.two_step and any(map(shows_decision, config.conditions)):
        lines.append("Reliance: over-reliance is the share of right first answers given up for a wrong decision, "
                     "under-reliance that of wrong first answers kept against a right one.")
    return lines + ["Means, tests and intervals stay hidden until the planned participants are complete; every earlier "
                    "look is recorded and reported."]


def _size(config: StudyConfig, expected: Mapping[str, float] | None, repetitions: int) -> str:
    stop = ("The program lets nobody more in, and closes the study, once they are complete or under way."
            if config.stop_at_n else "The operator closes the study.")
    text = f"## Sample size\n\n{config.planned_n} complete participants are planned. {stop}"
    if len(config.conditions) < 2:
        return text
    table, chosen = power_for(config, expected, repetitions=repetitions)
    return "\n\n".join([text, recommendation_text(config, chosen), "#" + power_text(table),
                        assumptions(config, expected)])


def _hashes(config: StudyConfig, made: Mapping, stimuli_sha256: str, key_id: str, chain_head: str) -> str:
    lines = [f"- configuration: `{config.sha256}`", f"- pictures, pairs and decisions: `{stimuli_sha256}`",
             f"- consent: `{config.consent_sha256}`"]
    if key_id:
        lines.append(f"- key of the chain over all answers: `{key_id}`")
    if chain_head:
        lines.append(f"- head of that chain now: `{chain_head}`")
    lines += [f"- {name.removesuffix('_sha256')}: `{value}`" for name, value in made.items()
              if name.endswith("_sha256") and value]
    return "\n".join(lines)
