"""What the service must remember between requests, behind one interface.

Two implementations pass the same tests: SQLite for one machine (shared by all its workers, survives a restart)
and Redis for a cluster.
"""

from visavis_proxy.state.opening import backend_of, open_store, state_file, store_name
from visavis_proxy.state.store import StateStore, StateUnavailable

__all__ = ["StateStore", "StateUnavailable", "backend_of", "open_store", "state_file", "store_name"]
