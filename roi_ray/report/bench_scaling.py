"""Report of a simulation of how a job scales: a table for a terminal."""

from rich.table import Table

from roi_ray.bench.scaling import ScalingResult


def build_scaling_table(result: ScalingResult) -> Table:
    """Build a table with a row for each number of actors."""
    times = result.times
    table = Table(
        title=f"a job whose actors wait {1000 * times.prepare:.3g} ms per reference and "
        f"{1000 * times.pair:.3g} ms per pair",
        title_justify="left",
    )
    table.add_column("actors")
    columns = "pairs/s", "ideal", "of the ideal", "driver, of a core", "machine", "they wait for"
    for column in columns:
        table.add_column(column, justify="right")
    for job in result.jobs:
        shares = [f"{share:.0%}" for share in (job.share, job.driver, job.machine)]
        speeds = f"{job.pairs_per_s:,.1f}", f"{job.ideal:,.1f}"
        table.add_row(str(job.actors), *speeds, *shares, job.limit)
    return table
