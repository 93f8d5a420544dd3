"""V2X Trade Protocol 1 once more, written from docs/ alone: a client that shares no line with the node."""
