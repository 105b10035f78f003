"""Ten thousand reservations at once for one customer, asked of two processes."""

import asyncio

from domain.limits.request import Reserved
from tests.domain.limits.office import Office, Process

ASKED, LEFT = 10_000, 9_900
# As many callers as an API process serves at once without waiting for answers.
CALLERS = 50


async def test_ten_thousand_reservations_at_once_never_pass_the_limit_and_each_is_answered(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    await office.override(ada, "gemini_calls", LEFT)
    processes = [await office.process(runs=True) for _ in range(2)]
    numbers = iter(range(ASKED))
    answers: list[tuple[Process, Reserved]] = []

    async def call() -> None:
        for number in numbers:
            process = processes[number % 2]
            answers.append((process, await process.reserve(ada, f"r{number}", input_tokens=1, output_tokens=0)))

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    permits = [process for process, reserved in answers if reserved.answer.is_allowed]
    refusals = [reserved for _, reserved in answers if not reserved.answer.is_allowed]
    # 100 more are asked for than there are; what one process holds and the other has leased is never more.
    assert len(answers) == ASKED
    assert len(permits) <= LEFT
    assert [permits.count(process) for process in processes] == [process.reserver.count for process in processes]
    assert await office.leased(ada, "gemini_calls") <= LEFT
    assert {(each.answer.refused and each.answer.refused.key, each.reservation) for each in refusals} == {
        ("gemini_calls", None)
    }
    # What was permitted is written behind the answers, and nothing of what was refused.
    for process in processes:
        await process.tick()
    assert await office.world.count("limit_reservation") == len(permits)
    assert await office.world.count("usage_event") == 0
