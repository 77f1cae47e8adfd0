"""--quit-word, --greeting, --half-close, --framing: banter with the servers that others wrote, as far as they are
installed."""
import pytest

from other_servers import SERVERS

pytestmark = pytest.mark.no_threads


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_server(bench, server):
    reason = server.why_not()
    if reason:
        pytest.skip(reason)
    run, _ = server.run(bench)
    assert server.what_is_wrong(run) is None, run
