"""Send requests with one reference to the process that has prepared it.

Ray Serve's `multiplexed_model_id` would do that too. But its router keeps the last request of each
model, with all images, for as long as the process lives (Ray 2.60), and a service sees any number
of references.
"""

from typing import TYPE_CHECKING

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

if TYPE_CHECKING:
    from ray.serve.request_router import PendingRequest, RunningReplica

MORE_REQUESTS = 2
"""A process with as many more requests than the least busy one gets no further ones."""
_ANSWER_SECONDS = 5.0
"""How long a process may take to say how many requests it has; then the next one is asked. Ray
Serve's 0.1 s are too short on a busy machine: references would be prepared in several processes."""


class ReferenceRouter(ConsistentHashRouter):  # type: ignore[misc]  # ray has no annotations
    """Chooses a process by the hash of the reference, which a request has as its session.

    Each reference has its order of processes. The first of them that is not much busier than the
    others gets the request: one reference with many images is prepared in several processes.
    """

    queue_len_response_deadline_s = _ANSWER_SECONDS

    async def choose_replicas(
        self,
        candidate_replicas: "list[RunningReplica]",
        pending_request: "PendingRequest | None" = None,
    ) -> "list[list[RunningReplica]]":
        """Return the processes in the order in which the request is offered to them."""
        ranks = await super().choose_replicas(candidate_replicas, pending_request)
        lengths = [self._count_requests(rank[0]) for rank in ranks]
        order = prefer_idle(lengths)
        return [ranks[number] for number in order]

    def _count_requests(self, replica: "RunningReplica") -> int:
        return self.replica_queue_len_cache.get(replica.replica_id) or 0


def prefer_idle(lengths: list[int]) -> list[int]:
    """Order processes: those that are not much busier than the least busy one come first.

    Args:
        lengths: requests in progress, per process, in the order of a reference.

    Examples:
        >>> prefer_idle([0, 0, 0]), prefer_idle([1, 0, 0]), prefer_idle([2, 0, 1])
        ([0, 1, 2], [0, 1, 2], [1, 2, 0])
    """
    limit = min(lengths, default=0) + MORE_REQUESTS
    return sorted(range(len(lengths)), key=lambda number: lengths[number] >= limit)
