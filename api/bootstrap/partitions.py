"""Wires the partitions of the log."""

from infrastructure.log.partitions import add_partition as add_partition
from infrastructure.log.partitions import move_partition as move_partition
from infrastructure.log.partitions import partitions as partitions
