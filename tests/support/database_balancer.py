"""haproxy in front of the databases of a cluster, configured by the box of docs/clusters.md."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.patroni_cluster import PASSWORD, PatroniCluster, box
from tests.support.proxies import prepared, replaced, running


@contextmanager
def database_balancer(cluster: PatroniCluster) -> "Iterator[tuple[str, int]]":
    """Its host and port."""
    with prepared("haproxy", "haproxy") as (program, folder, port):
        nodes = {f"db-{node.number + 1}:5432": f"{node.host}:5432" for node in cluster.nodes}
        text = replaced(box("haproxy"), {"bind :5432": f"bind 127.0.0.1:{port}", **nodes})
        (folder / "haproxy.cfg").write_text(text)
        with running([program, "-db", "-f", f"{folder}/haproxy.cfg"], port, folder / "log"):
            yield "127.0.0.1", port


def balanced_url(balancer: tuple[str, int], database: str) -> str:
    host, port = balancer
    return f"postgresql://postgres:{PASSWORD}@{host}:{port}/{database}"
