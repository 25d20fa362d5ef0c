"""The contract only grows: what was written for contract 1 goes on working, and says so if not."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import imagekit
import imagekit.provider
from imagekit import Plugins
from spoken import httpx
from toys import Driver, picture, spelt

FROZEN = Path(__file__).parent / "frozen"
DIGESTS = {
    "plugin_1.py": "84eac866478e64bdbaf6049cb94aa82192ee4a11f59ac3033083fc5e25f019c0",
    "contract-1.json": "17b2b7e2bfaf75dc588a1ebd40170340bcbf0f315030b327963a1c3fdb5246b4",
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"frozen_{name}", FROZEN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # pydantic reads the annotations of a class in its module.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


today = load("today")


@pytest.fixture
def plugin() -> Iterator[ModuleType]:
    yield load("plugin_1")
    del sys.modules["frozen_plugin_1"]


def then() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FROZEN / "contract-1.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_what_is_frozen_is_what_it_was(name: str) -> None:
    # A plugin somewhere is as this one is. Write another beside it, and leave this one alone.
    text = (FROZEN / name).read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == DIGESTS[name], (
        f"tests/frozen/{name} is never edited: what was written for contract 1 cannot be, either"
    )


def test_everything_that_contract_1_had_is_still_there() -> None:
    assert today.broken(then(), today.today()) == []


def test_the_contract_is_not_older_than_what_is_frozen() -> None:
    assert imagekit.provider.CONTRACT >= then()["contract"] == 1


def test_the_frozen_plugin_uses_every_name_and_every_hook_of_its_contract(
    plugin: ModuleType,
) -> None:
    text = (FROZEN / "plugin_1.py").read_text(encoding="utf-8")
    named = {name for name in then()["provider"] if hasattr(plugin, name)}
    assert set(then()["provider"]) == named
    assert all(f"def {hook}(" in text for hook in then()["hooks"])
    assert plugin.imagekit_contract == 1


def lose(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda now: now["provider"].pop(name)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a hook": (lambda now: now["hooks"].pop("imagekit_call_finished"), "finished is gone"),
    "an argument": (lambda now: now["hooks"]["imagekit_provider"].clear(), "gives no config"),
    "a name": (lose("bearer"), "bearer is gone"),
    "a field": (lambda now: now["provider"]["Config"].pop("env"), "Config.env is gone"),
    "a default": (
        lambda now: now["provider"]["Open"].update(framing="'lines'"),
        "Open.framing was 'events', and is 'lines'",
    ),
    "a demand": (
        lambda now: now["values"]["Notice"].update(colour=f"keyword {today.REQUIRED}"),
        "Notice.colour is new, and has to be given",
    ),
    "a kind of parameter": (
        lambda now: now["provider"]["gather"].update(limit="positional_only None"),
        "gather.limit was",
    ),
    "an order": (
        lambda now: now["provider"].update(Part=dict(reversed(now["provider"]["Part"].items()))),
        "Part has its parts in another order",
    ),
    "a place": (
        lambda now: now["provider"].update(Sleep={"new": "None", **now["provider"]["Sleep"]}),
        "Sleep has its parts in another order",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_that_breaks_plugins_is_found(what: str) -> None:
    change, why = CHANGES[what]
    now = copy.deepcopy(today.today())
    change(now)
    assert any(why in found for found in today.broken(then(), now))


def test_an_addition_breaks_nothing() -> None:
    now = copy.deepcopy(today.today())
    now["hooks"]["imagekit_call_paused"] = ["call"]
    now["hooks"]["imagekit_provider"].append("region")
    now["provider"]["paint"] = {"colour": f"positional_or_keyword {today.REQUIRED}"}
    now["provider"]["Sleep"]["why"] = "None"
    assert today.broken(then(), now) == []


# It works


def host(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/v1/lines":
        return httpx.Response(200, text="easel-1\n")
    if request.headers["authorization"] != "Bearer a-key":
        return httpx.Response(401)
    body = {"picture": spelt(picture(7))}
    if request.method == "POST" and b"stream" in request.content:
        return httpx.Response(
            200, text=f"data: {json.dumps(body)}\n\n", headers={"content-type": "text/event-stream"}
        )
    return httpx.Response(200, json=body, headers={"x-ratelimit-limit-requests": "7"})


def frozen(plugin: ModuleType, *others: object) -> dict[str, Any]:
    found = Plugins()
    found.register(plugin, "easel")
    for other in others:
        found.register(other)
    return {"plugins": found, "provider": "easel", "api_key": "a-key", "config": False}


def test_a_plugin_of_contract_1_makes_pictures(driver: Driver, plugin: ModuleType) -> None:
    watches = plugin.Watches()
    response = driver.call(
        lambda c: c.generate("a boat", n=2, options={"easels": {"steps": 4}}),
        host,
        **frozen(plugin, watches),
    )
    assert [image.data for image in response] == [picture(7)] * 2
    assert {one.detail for one in response.notices} == {"4"}
    assert {"file", "png", "requests"} <= set(plugin.USED)
    assert watches.told[0] == "started easel generate False"
    assert watches.told[-1] == "finished"
    assert {"sent POST /pictures", "received 200", "event progress"} <= set(watches.told)


def test_a_plugin_of_contract_1_streams(driver: Driver, plugin: ModuleType) -> None:
    events = driver.stream("a stream", host, **frozen(plugin))
    kinds = [event.kind for event in events]
    assert kinds[-1] == "completed"
    assert "image-ready" in kinds


def test_a_plugin_of_contract_1_has_jobs_batches_and_lists(
    driver: Driver, plugin: ModuleType
) -> None:
    def all_of_them(client: Any) -> Any:
        if isinstance(client, imagekit.Client):
            job = client.submit("a boat")
            batch = client.batch([imagekit.ImageRequest(prompt="a boat")])
            return client.resume(job), client.cancel(job), client.models(), batch

        async def follow() -> Any:
            job = await client.submit("a boat")
            batch = await client.batch([imagekit.ImageRequest(prompt="a boat")])
            done = await client.resume(job)
            return done, await client.cancel(job), await client.models(), batch

        return follow()

    done, _, models, batch = driver.call(all_of_them, host, **frozen(plugin))
    assert done.ok
    assert [one.id for one in models] == ["easel-1", "easel-1\n"]
    assert batch.n == 1


def test_the_judge_of_a_plugin_of_contract_1_is_heard(driver: Driver, plugin: ModuleType) -> None:
    with pytest.raises(imagekit.RequestError, match="409") as caught:
        driver.call(
            lambda c: c.generate("a boat"),
            lambda _: httpx.Response(409),
            retry=imagekit.RetryPolicy(retries=0),
            **frozen(plugin),
        )
    assert caught.value.billed == "no"


def test_a_flow_of_its_own_may_prove_who_is_calling(driver: Driver, plugin: ModuleType) -> None:
    def asked(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-key"] == "a-key"
        return httpx.Response(200, json={"picture": spelt(picture(7))})

    settings = {**frozen(plugin), "settings": {"region": "south"}}
    assert driver.call(lambda c: c.generate("a boat"), asked, **settings).ok


def test_the_values_of_contract_1_can_be_made(plugin: ModuleType) -> None:
    assert plugin.values()[0] == imagekit.provider.CONTRACT
