"""How several workers share the suite (pytest-xdist): a file is what a worker takes, and what mostly waits goes first.

Journeys and links run real processes in real time and wait for most of it, so they cost a core little and the suite
much. All workers but one take them first; that one takes what computes. So a core is never idle while others wait, and
real processes are never so many at once that they miss each other's deadlines.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

WAITING = ("tests/journeys/", "tests/links/")
"""Where tests wait for real processes in real time."""


class SideBySide(LoadScopeScheduling):
    """Whole files, so that what a module shares is made once; the workers' order decides who takes what first."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._next(node), last=False)
        super()._assign_work_unit(node)

    def _next(self, node: WorkerController) -> str:
        """The first file of the sort that this worker takes first; the first of all when there is none left."""
        waits = node is not self.nodes[-1]
        mine = (file for file in self.workqueue if file.startswith(WAITING) == waits)
        return next(mine, next(iter(self.workqueue)))
