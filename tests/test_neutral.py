"""Of the eleven, ten ask nothing of a provider but data, and jobs ask for three words."""

from __future__ import annotations

import ast
import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

import imagekit
import imagekit_openai
import imagekit_sketch
from imagekit import Budget, BudgetExceededError, Cache, Manifest, Mask
from studio import Host, Jobbing, Studio, studio
from toys import Driver, picture, spelt


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_provider_is_an_address_data_and_a_flow() -> None:
    own = {name for name in vars(Studio) if not name.startswith("__")}
    assert own == {"capabilities", "flow"}
    more = {name for name in vars(Jobbing) if not name.startswith("__")}
    assert more == {"flow", "resume", "cancel"}


# The eleven, each with that provider


def test_capabilities(driver: Driver, host: Host) -> None:
    response = driver.call(
        lambda c: c.generate("a fox", size="16:9", seed=3, quality="huge"), host, **studio()
    )
    found = {(one.kind, one.feature) for one in response.notices}
    assert {("unsupported", "seed"), ("unsupported", "quality")} <= found
    assert (response.image.width, response.image.height) == (56, 32)
    patch = {"studio": {"studio-1": {"parameters": {"seed": "yes"}}}}
    patched = driver.call(lambda c: c.generate("a", seed=3), host, **studio(), capabilities=patch)
    assert patched.notices == ()
    with pytest.raises(imagekit.UnsupportedRequestError, match="40"):
        driver.call(lambda c: c.generate("a" * 41), host, **studio())


def test_plans(driver: Driver, host: Host) -> None:
    plan = driver.call(lambda c: c.plan("a fox", n=3), host, **studio())
    assert (host.asked, plan.calls) == ([], 2)
    driver.call(lambda c: c.run(plan), host, **studio())
    assert sorted(one.content for one in host.asked) == sorted(one.body for one in plan.requests)


def test_charges(driver: Driver, host: Host) -> None:
    retry = {"retry": imagekit.RetryPolicy(base=0.0)}
    host.statuses = [429, 429]
    assert driver.call(lambda c: c.generate("a"), host, **studio(), **retry).ok
    assert len(host.asked) == 3
    host.statuses = [500]
    with pytest.raises(imagekit.ProviderError) as found:
        driver.call(lambda c: c.generate("a"), host, **studio(), **retry)
    assert (found.value.billed, len(host.asked)) == ("possibly", 4)


def test_slots(driver: Driver, host: Host) -> None:
    host.pictures = [spelt(picture(1)), "refused"]
    response = driver.call(lambda c: c.generate("a", n=2), host, **studio())
    assert [type(one).__name__ for one in response.slots] == ["Image", "ImageFailure"]
    assert (response.failures[0].billed, response.ok) == ("no", False)
    assert [(one.n, one.images) for one in response.calls] == [(2, 1)]


def test_masks(driver: Driver, host: Host) -> None:
    source = picture(200, 16, 8)
    mask = Mask.box((0, 0, 8, 8))
    response = driver.call(
        lambda c: c.edit("a hat", [source], mask=mask, size="16x8", check_mask=True),
        host,
        **studio(),
    )
    sent = Pillow.open(io.BytesIO(base64.b64decode(json.loads(host.asked[0].content)["mask"])))
    assert sent.size == (16, 8)
    assert (sent.convert("L").getpixel((2, 2)), sent.convert("L").getpixel((12, 2))) == (255, 0)
    assert [one.used for one in response.notices if one.feature == "mask"] == ["100.0 %"]


def test_delivered(driver: Driver, host: Host) -> None:
    host.pictures = [spelt(picture(1, 5, 5))]
    response = driver.call(
        lambda c: c.generate("a", size="8x8", output_format="webp"), host, **studio()
    )
    found = {one.feature: (one.wanted, one.used) for one in response.notices}
    assert found["size"] == ("8x8", "5x5")
    assert found["output_format"] == ("webp", "png")


def test_money(driver: Driver, host: Host) -> None:
    def spend(client: Any) -> Any:
        return client.generate("a", n=2)

    response = driver.call(spend, host, **studio())
    assert (str(response.cost.amount), response.cost.kind) == ("0.5", "estimated")
    assert [str(one.cost.amount) for one in response.calls] == ["0.5"]
    before = len(host.asked)
    with pytest.raises(BudgetExceededError):
        driver.call(spend, host, **studio(), budget=Budget("0.49"))
    assert len(host.asked) == before


def test_jobs(driver: Driver, host: Host) -> None:
    settings = studio(jobs=Jobbing())
    job = str(driver.call(lambda c: c.submit("a fox", provider="jobs"), host, **settings))
    assert isinstance(json.loads(job), dict)
    assert driver.call(lambda c: c.resume(job), host, **settings).ok
    driver.call(lambda c: c.cancel(job), host, **settings)
    assert [one.url.path for one in host.asked if one.method == "POST"] == [
        "/v1/jobs",
        "/v1/jobs/job-1/cancel",
    ]


def test_fallback(driver: Driver, host: Host) -> None:
    host.statuses = [429]
    response = driver.call(
        lambda c: c.generate("a", provider=["studio", "second"], retries=0),
        host,
        **studio(second=Studio("second.test")),
    )
    assert response.provider == "second"
    assert [(one.provider, one.kind) for one in response.attempts] == [("studio", "RateLimitError")]
    assert [one.url.host for one in host.asked] == ["studio.test", "second.test"]


def test_cache(driver: Driver, host: Host, tmp_path: Path) -> None:
    kept = Cache(tmp_path / "kept")
    first = driver.call(lambda c: c.generate("a fox"), host, **studio(), cache=kept)
    again = driver.call(lambda c: c.generate("a fox"), host, **studio(), cache=kept)
    assert len(host.asked) == 1
    assert (again.image, first.cached) == (first.image, None)
    assert again.cached is not None
    kept.close()


def test_provenance(driver: Driver, host: Host) -> None:
    response = driver.call(lambda c: c.generate("a fox", keep_plan=True), host, **studio())
    manifest = Manifest.of(response.plan, response)
    again = driver.call(lambda c: c.run(manifest.plan), host, **studio())
    assert again.image == response.image
    assert host.asked[0].content == host.asked[1].content


# And so it is of the plugins


CORES = {
    "Attempt", "Budget", "BudgetExceededError", "Cache", "CallRecord", "Estimate",
    "Manifest", "Plan", "PlannedRequest", "RetryPolicy", "Totals",
}  # fmt: skip


@pytest.mark.parametrize(
    "module",
    [
        file
        for plugin in (imagekit_openai, imagekit_sketch)
        for file in sorted(Path(plugin.__file__).parent.glob("*.py"))
    ],
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_no_plugin_speaks_of_what_the_core_does_around_it(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    imported = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imagekit")
        for name in node.names
    }
    assert not imported & CORES
