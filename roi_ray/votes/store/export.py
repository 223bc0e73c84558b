"""Answers as comparisons: what `roi-ray train`, `evaluate` and `rank` read."""

from collections.abc import Sequence

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.preference.comparisons.table import write_comparisons
from roi_ray.votes.records import Answer
from roi_ray.votes.store.agreement import summarize_raters, tabulate_raters

COMPARISONS = "comparisons.parquet"
RATERS = "raters.parquet"


def build_comparisons(questions: pa.Table, answers: Sequence[Answer]) -> pa.Table:
    """Make a comparison of each answer: all of them, also those that must not count.

    Args:
        questions: a row per question with its key in `question`; see `Questions.table`.
        answers: from `Store.read_answers`.

    Returns:
        a row per answer, in the order of the answers, with the columns of `schema.COMPARISON` that
        the questions have or that follow from the answers (`p_a`, `votes`, `rater`, `tie`, `gold`),
        those of `schema.VOTE`, `error`, those of `schema.CROP` if a rater saw only a part of the
        images, and all other columns of the questions, such as features; with the mark of the
        study that the questions have, see `mark_table`.

        `gold` is true for each kind but `question`, so that only answers to ordinary questions
        are trained, evaluated and ranked on. `error` says why an answer must not count, else it is
        null.

    Raises:
        OutputError: an answer is about a question that is not among the questions.

    Examples:
        >>> from roi_ray.votes.records import Ask, Screen, Vote
        >>> questions = pa.table(
        ...     {"question": ["5f2c"], "reference": ["/o.png"], "a": ["/x.png"], "b": ["/y.png"]}
        ... )
        >>> ask = Ask("ask", "rater", "5f2c", "question", first="b", number=0)
        >>> vote = Vote("id", "ask", "2", 4, 5000, Screen(390, 844, 3.0, ""))
        >>> table = build_comparisons(questions, [Answer(1, vote, ask, 1.7e9)])
        >>> table["p_a"].to_pylist(), table["first"].to_pylist(), table["gold"].to_pylist()
        ([1.0], ['b'], [False])
    """
    asked = questions.take(_find_rows(questions, answers))
    columns = {name: asked[name] for name in asked.column_names} | _answer_columns(answers)
    first = [*schema.COMPARISON, *schema.VOTE, *schema.CROP, schema.ERROR]
    names = [name for name in first if name in columns]
    names += [name for name in columns if name not in names]
    table = pa.table({name: columns[name] for name in names})
    return table.replace_schema_metadata(questions.schema.metadata)


def write_export(output: str, questions: pa.Table, answers: Sequence[Answer]) -> None:
    """Write `comparisons.parquet` and `raters.parquet` to a folder; each appears complete.

    Args:
        output: path or URI of a folder, which is created.
        questions: see `build_comparisons`.
        answers: likewise.

    Raises:
        OutputError: see `build_comparisons`.
        StorageError: a file cannot be written.
    """
    comparisons = build_comparisons(questions, answers)
    raters = tabulate_raters(summarize_raters(answers, questions))
    raters = raters.replace_schema_metadata(questions.schema.metadata)
    write_comparisons(storage.join(output, COMPARISONS), comparisons)
    write_comparisons(storage.join(output, RATERS), raters)


def _find_rows(questions: pa.Table, answers: Sequence[Answer]) -> pa.Array:
    """Return the row of the question of each answer, (N,)."""
    keys = questions[schema.QUESTION].to_pylist()
    rows = {key: row for row, key in enumerate(keys)}
    found = [rows.get(answer.ask.question) for answer in answers]
    if None in found:
        key = answers[found.index(None)].ask.question
        raise OutputError(
            f"{found.count(None)} of {len(answers)} answers are about questions that this study "
            f"does not have, such as {key!r}: the database belongs to other questions"
        )
    return pa.array(found, pa.int64())


def _answer_columns(answers: Sequence[Answer]) -> dict[str, pa.Array]:
    """Return the columns that follow from the answers alone."""
    types = schema.COMPARISON | schema.VOTE
    screens = [answer.vote.screen for answer in answers]
    values: dict[str, list[object]] = {
        schema.P_A: [answer.p_a for answer in answers],
        schema.VOTES: [1] * len(answers),
        schema.RATER: [answer.ask.rater for answer in answers],
        schema.TIE: [answer.vote.choice == "none" for answer in answers],
        schema.GOLD: [answer.ask.kind != "question" for answer in answers],
        schema.VOTE_ID: [answer.vote.id for answer in answers],
        schema.QUESTION: [answer.ask.question for answer in answers],
        schema.KIND: [answer.ask.kind for answer in answers],
        schema.FIRST: [answer.ask.first for answer in answers],
        schema.FLIPS: [answer.vote.flips for answer in answers],
        schema.MILLISECONDS: [answer.vote.milliseconds for answer in answers],
        schema.SCREEN_WIDTH: [screen.width for screen in screens],
        schema.SCREEN_HEIGHT: [screen.height for screen in screens],
        schema.PIXEL_RATIO: [screen.pixel_ratio for screen in screens],
        schema.BROWSER: [screen.browser for screen in screens],
    }
    columns = {name: pa.array(items, types[name]) for name, items in values.items()}
    microseconds = [int(answer.answered_at) * 1_000_000 for answer in answers]
    time_type = pa.timestamp("us", tz="UTC")
    columns[schema.ANSWERED_AT] = pa.array(microseconds, pa.int64()).cast(time_type)
    columns[schema.ERROR] = pa.array([answer.problem for answer in answers], pa.string())
    return columns | _crop_columns(answers)


def _crop_columns(answers: Sequence[Answer]) -> dict[str, pa.Array]:
    crops = [answer.ask.crop for answer in answers]
    if not any(crops):
        return {}
    return {
        name: pa.array([crop and crop[index] for crop in crops], pa.int32())
        for index, name in enumerate(schema.CROP)
    }
