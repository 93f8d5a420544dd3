"""The node: everything put together, and the methods that every door calls (CLI, API, coordinator)."""

from v2xnode.node.doorkeeper import Doorkeeper
from v2xnode.node.node import Node
from v2xnode.node.opening import clock_of, open_node

__all__ = ["Doorkeeper", "Node", "clock_of", "open_node"]
