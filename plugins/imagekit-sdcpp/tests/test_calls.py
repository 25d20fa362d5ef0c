"""Whole calls against the fake server: the queue as a stream shows it, cancelling, resuming."""

from __future__ import annotations

from typing import Any

import pytest
from sdcpp_host import MODEL, SdCppHost

import imagekit_sdcpp
from imagekit import InvalidRequestError, Job, NoImageError
from imagekit.testing import ProviderSuite


class Suite(ProviderSuite):
    plugin = imagekit_sdcpp
    provider = "sdcpp"
    host = SdCppHost


def bench(pending: int = 0) -> Any:
    """A client's bench; that many looks find a job unfinished."""
    return Suite().bench(pending=pending)


def test_a_stream_tells_the_place_in_the_queue_and_then_that_it_is_made() -> None:
    came = bench(pending=3).ask(way="blocking stream")
    kinds = [event.kind for event in came.events]
    assert kinds == ["queued", "queued", "progress", "image-ready", "completed"]
    assert [event.position for event in came.events[:2]] == [2, 1]


def test_who_waits_for_one_call_asks_for_one_job() -> None:
    found = bench(pending=2)
    assert found.ask().pictures().ok
    assert [asked.method for asked in found.host.asked] == ["POST", "GET", "GET", "GET"]


def test_a_job_that_waits_is_ended() -> None:
    found = bench(pending=9)
    with found.client() as client:
        job = client.submit("a cat")
        client.cancel(job)
        with pytest.raises(NoImageError, match="job cancelled by client") as caught:
            client.resume(job)
    assert (caught.value.code, caught.value.billed) == ("cancelled", "no")


def test_a_job_that_is_being_made_is_asked_to_stop_once() -> None:
    found = bench(pending=1)
    with found.client() as client:
        job = client.submit("a cat")
        with pytest.raises(InvalidRequestError, match="cannot be interrupted yet") as caught:
            client.cancel(job)
        assert caught.value.status == 409
        assert [asked.path for asked in found.host.asked][1:] == [
            "/sdcpp/v1/jobs/job_6b01406e_00000000/cancel"
        ]
        assert client.resume(job).ok
        # By now it is over, and stays so.
        client.cancel(job)
        assert client.resume(job).ok


def test_a_job_is_finished_from_its_json_by_another_client() -> None:
    found = bench(pending=2)
    with found.client() as client:
        kept = str(client.submit("a cat", n=2, model="flux1"))
    with found.client() as client:
        assert client.poll(kept) is None
        response = client.resume(kept)
        assert len(response) == 2
        assert response.model == "flux1"


def test_a_job_that_the_server_has_forgotten_is_over() -> None:
    found = bench()
    with found.client() as client:
        job = client.submit("a cat")
        found.host.jobs.clear()
        with pytest.raises(InvalidRequestError, match="job not found") as caught:
            client.resume(job)
    assert caught.value.job is None


def test_more_than_a_job_makes_are_several_jobs_whose_seeds_go_on() -> None:
    found = bench()
    assert len(found.ask(n=17, seed=3).pictures()) == 17
    sent = [asked.json() for asked in found.host.asked if asked.method == "POST"]
    assert sorted((one["seed"], one["batch_count"]) for one in sent) == [(3, 8), (11, 8), (19, 1)]


def test_a_key_goes_to_the_proxy_that_wants_it() -> None:
    found = bench()
    found.ask().pictures()
    said = {asked.headers["authorization"] for asked in found.host.asked}
    assert [word.partition(" ")[0] for word in said] == ["Bearer"]


def test_the_server_lists_what_it_has_loaded() -> None:
    with bench().client() as client:
        assert [model.id for model in client.models()] == [MODEL["stem"]]


def test_a_job_is_json_that_anybody_may_see() -> None:
    with bench().client() as client:
        job = client.submit("a cat", model="flux1")
    assert Job.model_validate_json(str(job)) == job
    assert job.parts[0].handle == {
        "id": "job_6b01406e_00000000",
        "asked": {"model": "flux1"},
    }
