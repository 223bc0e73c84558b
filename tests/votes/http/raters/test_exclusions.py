"""Questions whose images cannot be shown, for a while or for good."""

import asyncio

import pytest

from roi_ray.errors import ImageReadError, WorkerDied
from roi_ray.votes.http.raters.exclusions import Exclusions
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.store.store import Store
from roi_ray.votes.study import Study


@pytest.fixture
def study(questions, tmp_path):
    with Store(str(tmp_path / "study.sqlite")) as store:
        yield Study(questions, store, VoteOptions(training=0))


def test_death_excludes_a_question_for_a_while_and_a_second_one_for_good(study) -> None:
    writer = Writer()
    exclusions = Exclusions(study, writer, seconds=0.01)

    async def work() -> None:
        async with asyncio.timeout(60):
            await exclusions.add(4, ImageReadError("damaged"))
            await exclusions.add(3, WorkerDied("takes too long"))
            # At once: a moment later, the third question is asked again.
            assert study.problems == {3: "takes too long", 4: "damaged"}
            while 3 in study.problems:
                await asyncio.sleep(0.01)
            await exclusions.add(3, WorkerDied("takes too long"))
            await asyncio.sleep(0.1)
            assert set(study.problems) == {3, 4}

    asyncio.run(work())
    writer.close()
