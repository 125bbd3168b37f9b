"""``sluice operator``: everything wired together."""

import asyncio
import logging

import aiohttp
import click
import kopf
import uvloop
from aiohttp import web
from kopf._core.engines.peering import Identity
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from sluice_api.errors import ConfigurationError
from sluice_operator import handlers
from sluice_operator import settings as operator_settings
from sluice_operator.kube import Kubernetes
from sluice_operator.leadership import Leadership, identity
from sluice_operator.metrics import JobMetrics
from sluice_operator.observe import Observer
from sluice_operator.queue import WorkQueue
from sluice_operator.reconcile import Reconciler
from sluice_operator.settings import OperatorSettings
from sluice_workers.runtime.logs import configure_logging


@click.command()
def command() -> None:
    """Run the operator, configured by SLUICE_… variables."""
    configure_logging("operator")
    # While the broker is away its client says so many times a second; the conditions say it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        uvloop.run(run(operator_settings.read()))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


async def run(settings: OperatorSettings) -> None:
    """Watch and reconcile until told to stop by SIGTERM or SIGINT.

    Raises ``ConfigurationError`` when the cluster does not let it watch.
    """
    await _log_in()
    async with ApiClient() as client, aiohttp.ClientSession() as http:
        kubernetes = Kubernetes(client)
        await kubernetes.open()
        await kubernetes.require_access(settings.namespace)
        metrics = JobMetrics()
        observer = Observer(kubernetes, settings, http)
        reconciler = Reconciler(kubernetes, observer, settings, metrics)
        leadership = Leadership(kubernetes, identity(), reconciler.reconcile)
        queue = WorkQueue(leadership.look)
        ready = asyncio.Event()
        server = await _serve(settings.port, ready, metrics)
        try:
            await kopf.operator(
                registry=handlers.registry(queue),
                settings=handlers.settings(),
                ready_flag=ready,
                standalone=True,
                # By default it asks for the user's name, which a pod's user need not have.
                identity=Identity("sluice"),
                clusterwide=settings.namespace is None,
                namespaces=[settings.namespace] if settings.namespace else [],
            )
        finally:
            await queue.close()
            await leadership.close()
            await observer.close()
            await server.cleanup()


async def _log_in() -> None:
    """Use the pod's service account, or outside a cluster the kubeconfig that is named."""
    try:
        config.load_incluster_config()
    except config.ConfigException:
        await config.load_kube_config()


async def _serve(port: int, ready: asyncio.Event, jobs: JobMetrics) -> web.AppRunner:
    told = CollectorRegistry()
    told.register(jobs)
    ProcessCollector(registry=told)

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        status = 200 if ready.is_set() else 503
        return web.Response(status=status, text="ok\n" if ready.is_set() else "starting\n")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(told), content_type="text/plain")

    app = web.Application()
    for path, handler in (("/livez", livez), ("/readyz", readyz), ("/metrics", metrics)):
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
