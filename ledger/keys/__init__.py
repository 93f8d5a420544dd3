"""Which key signs where: what KEY entries say, and what follows from those of a node. Pure."""
