"""``sluice redrive``: asks the operator, by the user's kubeconfig, to put given-up items back."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

import click
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

from sluice_api import names
from sluice_api.errors import ConfigurationError, SluiceError
from sluice_api.failure import FailureReason
from sluice_api.names import JobName
from sluice_operator.kube import Kubernetes
from sluice_operator.observed import Object

POLL = 1.0
"""Seconds between two looks at the job's status."""


@click.command()
@click.argument("job")
@click.option("-n", "--namespace", help="The job's namespace; the kubeconfig's unless given.")
@click.option("--context", help="The kubeconfig's context; its current one unless given.")
@click.option(
    "--reason", "reasons", multiple=True, type=click.Choice([each.value for each in FailureReason]),
    help="Only what was given up for this reason; may be repeated.",
)  # fmt: skip
@click.option("--key", "keys", multiple=True, help="Only this item key; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds to wait for the end.")
def command(
    job: str,
    namespace: str | None,
    context: str | None,
    reasons: tuple[str, ...],
    keys: tuple[str, ...],
    *,
    dry_run: bool,
    timeout: float,
) -> None:
    """Put the items that JOB gave up back into its items topic, each once."""
    # Not longer than a resource's name, and in the order of time.
    number = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    wish = {"id": number, "reasons": [*reasons], "keys": [*keys], "dryRun": dry_run}
    try:
        found = asyncio.run(_carried_out(job, namespace, context, wish, timeout))
    except (SluiceError, ApiException, config.ConfigException) as error:
        raise click.ClickException(str(error)) from error
    count = found.get("items", "an unknown number of")
    click.echo(f"{count} items {'would be' if dry_run else 'were'} put back")
    if found.get("gone"):
        click.echo(f"{found['gone']} items are in neither topic any more: seed them anew")


async def _carried_out(
    job: str, namespace: str | None, context: str | None, wish: Object, patience: float
) -> Object:
    await config.load_kube_config(context=context)
    name = JobName(namespace or _namespace(context), job)
    async with ApiClient() as client:
        kubernetes = Kubernetes(client)
        await kubernetes.open()
        await _ask(kubernetes, name, wish)
        return await _answer(kubernetes, name, wish["id"], patience)


def _namespace(context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts()
    found = next((each for each in contexts if each["name"] == context), active)
    return str(found["context"].get("namespace") or "default")


async def _ask(kubernetes: Kubernetes, name: JobName, wish: Object) -> None:
    """Set the wish, unless another one is being carried out."""
    while True:
        found = await _job(kubernetes, name)
        asked = found["spec"].get("redrive") or {}
        answered = found.get("status", {}).get("redrive") or {}
        if asked and (asked["id"] != answered.get("id") or not answered.get("completedAt")):
            raise ConfigurationError(
                f"redrive {asked['id']} of {name} is under way: wait for it"
                f" (kubectl get ingestionjob {name.name} -o jsonpath={{.status.redrive}}), or"
                " withdraw it by removing spec.redrive"
            )
        version = found["metadata"]["resourceVersion"]
        if await kubernetes.patch_spec(name, {"redrive": wish}, version):
            return


async def _answer(kubernetes: Kubernetes, name: JobName, number: str, patience: float) -> Object:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = await _job(kubernetes, name)
        answer: Object = found.get("status", {}).get("redrive") or {}
        if answer.get("id") == number and answer.get("completedAt"):
            return answer
        await asyncio.sleep(POLL)
    raise ConfigurationError(
        f"redrive {number} of {name} has not ended after {patience:g} s; it goes on:"
        f" see kubectl describe ingestionjob {name.name}"
    )


async def _job(kubernetes: Kubernetes, name: JobName) -> Object:
    found = await kubernetes.get(names.KIND, name.namespace, name.name)
    if found is None:
        raise ConfigurationError(
            f"there is no IngestionJob {name}: see kubectl get ingestionjobs -A"
        )
    return found
