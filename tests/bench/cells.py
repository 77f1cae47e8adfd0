"""A cell: one thing that is measured, of several servers or clients in turns; and how large everything is."""
from dataclasses import dataclass, field
from typing import Callable


@dataclass(frozen=True)
class Sizes:
    """How much is done. SMALL is for the test that everything works: its figures mean nothing."""
    duration: float = 0.5          # seconds of a throughput measurement
    warm_up: float = 0.2           # seconds before, which do not count
    light_duration: float = 5.0    # seconds that the light client is watched beside heavy ones: banterd's ...
    light_duration_peers: float = 2.0  # ... and the others'
    heavy_ms: float = 50           # what a heavy request takes of a core that does nothing else
    lead: float = 0.3              # seconds at the least that the heavy ones are ahead of the light one
    cold_trials: int = 4           # in each round
    idle: int = 15000
    secure_idle: int = 1500        # the same of those with TLS
    stop: int = 10000
    lines: int = 10_000_000
    once: int = 200
    rest: float = 2.0              # seconds after which a server is to have given back what it does not need
    starts: int = 20               # of a server, in each round
    most: int = 1_000_000          # connections, at most


SMALL = Sizes(duration=0.05, warm_up=0.02, light_duration=0.2, light_duration_peers=0.2, heavy_ms=2, lead=0.02,
              cold_trials=1, idle=200, secure_idle=20, stop=100, lines=20000, once=3, rest=0, starts=2, most=10)


@dataclass(frozen=True)
class Cell:
    name: str                      # such as throughput/50x16/4
    servers: list                  # whose turns it is, in this order
    measure: Callable = field(repr=False)  # (server's name, Sizes) -> {figure: value}
    rounds: int = 3                # unless the command line says so
    kind: str = ""                 # one cell of each kind is in the small run
    connections: int = 1           # how many it needs
    most: Callable = field(default=lambda name: 1_000_000, repr=False)  # how many that server is asked to have
