"""`roi-ray vote`: a page that asks people which image is closer to the original."""

import os
import sys

import typer

from roi_ray.cli import server_options
from roi_ray.cli import vote_options as own
from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import UsageError
from roi_ray.runtime import logs
from roi_ray.runtime.packages import check_packages
from roi_ray.runtime.words import count_noun
from roi_ray.votes.options import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    Access,
    Address,
    Opening,
    StudyFiles,
    VoteOptions,
)
from roi_ray.web.key_file import read_key_file

_PACKAGES = ("fastapi", "uvicorn")
"""What the extra `vote` installs."""


@exit_with_message
def main(
    *,
    comparisons: own.Comparisons = None,
    scores: own.Scores = None,
    output: own.Output,
    allow_prefix: own.AllowPrefix = None,
    gold: own.Gold = VoteOptions.gold,
    repeats: own.Repeats = VoteOptions.repeats,
    training: own.Training = VoteOptions.training,
    questions_per_rater: own.QuestionsPerRater = VoteOptions.questions_per_rater,
    active: own.Active = VoteOptions.active,
    model: own.Model = VoteOptions.model,
    by: own.RankBy = VoteOptions.by,
    stop_at: own.StopAt = VoteOptions.stop_at,
    max_questions: own.MaxQuestions = VoteOptions.max_questions,
    crop: own.Crop = VoteOptions.crop,
    max_pixels: own.MaxPixels = VoteOptions.max_pixels,
    seed: own.Seed = VoteOptions.seed,
    host: own.Host = DEFAULT_HOST,
    port: server_options.Port = DEFAULT_PORT,
    public_url: own.PublicUrl = None,
    invitations: own.Invitations = None,
    raters_per_invitation: own.RatersPerInvitation = 1,
    consent: own.Consent = None,
    admin_keys: own.AdminKeys = None,
    database: own.Database = None,
    export_seconds: own.ExportSeconds = 60.0,
    simulate: own.Simulate = False,
    log_level: server_options.LogLevel = None,
) -> None:
    """Ask people which of two images is closer to the original, on a page in their browsers.

    Raters come by invitation links. Every answer is on disk before the page goes on; `roi-ray
    train`, `evaluate` and `rank` read what is exported. Runs until SIGTERM or Control-C.

    Exit codes: 0 if the study was ended by a signal and its answers are exported; 2 if the
    arguments, the questions, the output or the address cannot be used, or the answers could not be
    exported (they are in the database); 130 or 143 if it was stopped before it was open. With
    --simulate: 0 if the simulation is written.
    """
    logs.log_to_stderr(log_level)
    options = VoteOptions(
        gold=gold,
        repeats=repeats,
        training=training,
        questions_per_rater=questions_per_rater,
        active=active,
        model=model,
        by=by,
        stop_at=stop_at,
        max_questions=max_questions,
        crop=crop,
        max_pixels=max_pixels,
        seed=seed,
    )
    files = StudyFiles(output, comparisons, scores, database, tuple(allow_prefix or ()), consent)
    if simulate:
        _simulate(files, options)
        return
    check_packages(_PACKAGES, "the page", "vote")
    from roi_ray.votes.run import run_study

    keys = read_key_file(admin_keys) if admin_keys is not None else ()
    answers = run_study(
        files,
        options,
        Address(host, port, public_url),
        Access(invitations, raters_per_invitation, keys),
        export_seconds,
        announce=_announce,
    )
    typer.echo(f"{count_noun(answers, 'answer')} in {output}")


def _simulate(files: StudyFiles, options: VoteOptions) -> None:
    if files.comparisons is None:
        raise UsageError("--simulate draws answers from those of --comparisons; name them")
    from rich.console import Console

    from roi_ray.preference.comparisons.table import read_comparisons
    from roi_ray.report.vote_simulation import report_simulation
    from roi_ray.votes.asking.simulation import simulate

    table = read_comparisons(files.comparisons).table
    typer.echo(f"simulating with {count_noun(table.num_rows, 'answer')}; this takes some minutes")
    result = simulate(
        table, options.active or "ranking", by=options.by, processes=os.cpu_count() or 1
    )
    report_simulation(result, files.output, Console(width=120))


def _announce(opening: Opening) -> None:
    try:
        print(_describe(opening), flush=True)
    except OSError:
        # Python writes what is left when it ends, which would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _describe(opening: Opening) -> str:
    lines = [f"open at {opening.url} - {count_noun(opening.questions, 'question')}"]
    if opening.answers:
        lines[0] += f", {count_noun(opening.answers, 'answer')} so far"
    lines += [f"invitation: {link}" for link in opening.links]
    if not opening.links:
        places = f"places left by earlier invitations: {opening.places}"
        lines.append(f"{places}; make new links at /admin, or with --invitations")
    key = f", key: {opening.admin_key}" if opening.admin_key else ""
    lines.append(f"operator: {opening.url}/admin{key}")
    return "\n".join(lines)
