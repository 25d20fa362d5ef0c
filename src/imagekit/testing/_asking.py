"""Rules about the request as a whole: the words, the model, how many, and whom it goes to."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import urlsplit

from .._errors import UnsupportedRequestError
from .._request import ImageRequest
from ._bench import WAYS, Bench, Came, png
from ._declared import NOBODY
from ._ground import Ground, Reached

# Words that a wire easily spoils: accents, another script, quotes, a line's end, a smiley.
WORDS = 'Ein Fahrrad für "Zoë" — 赤い自転車,\n\\n & <b>100 %</b> {x} 🚲'
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Asking(Ground):
    """What is asked is what was said, once, of the host that was meant."""

    def test_the_prompt_reaches_the_wire_unchanged(self) -> None:
        """Every character of it, whatever it is."""
        found = self.reached(**{**self._words(), "prompt": WORDS})
        if not found.asked:
            other = self.reached(**{**self._words(), "prompt": "a dog"})
            assert found.said != other.said, "the words make no difference"
            return
        assert any(WORDS in word for one in found.asked for word in _texts(one.shape())), (
            f"the prompt is not sent as it is: nowhere in the request stands {WORDS!r}"
        )

    def test_another_prompt_is_another_request(self) -> None:
        """Nothing of an earlier one is kept."""
        one = self.reached(**{**self._words(), "prompt": "a cat"})
        other = self.reached(**{**self._words(), "prompt": "a dog"})
        assert one.said != other.said, "two prompts come to the same request"

    def test_a_prompt_too_long_is_refused_before_the_network(self) -> None:
        """It is never cut."""
        most = self.able.max_prompt
        if most is None:
            self.not_applicable("its capabilities say no max_prompt")
        self.reached(**{**self._words(), "prompt": "x" * most})
        self.refused(
            f"max_prompt is {most}",
            kind=UnsupportedRequestError,
            **{**self._words(), "prompt": "x" * (most + 1)},
        )

    # The model.

    def test_the_model_is_told(self) -> None:
        """A response says which model made the picture."""
        if self.model is None and self.able.model is None:
            self.not_applicable("it has no default model: its host has the only one")
        found = self.reached().came.pictures()
        assert (found.model or "").strip(), (
            "the response has no model: give ImageResponse(model=…), the host's own word or what "
            "was asked for"
        )

    def test_a_model_that_is_named_reaches_the_wire(self) -> None:
        """Another model is another request, is told of, or ends before the network."""
        found = self.ask(model=NOBODY)
        if found.came.error is not None:
            assert not found.asked, (
                f"model={NOBODY!r} ended in {found.came.error!r} after the host was asked"
            )
            return
        told = found.told("model") or NOBODY not in str(found.came.pictures().model)
        assert found.said != self.reached().said or told, (
            f"model={NOBODY!r} comes to the same request as no model, and the response says that "
            f"{NOBODY!r} made it: send it, refuse it, or give a notice"
        )

    def test_the_default_model_is_sent_as_it_would_be_by_its_name(self) -> None:
        """What the vendor changes behind our backs is said in the request."""
        model = self.bench().provider().capabilities(None).model
        if model is None or self.model is not None:
            self.not_applicable("it has no default model, or the suite names one")
        assert self.reached(model=model).said == self.reached().said, (
            f"without a model another request is made than with {model!r}, which the capabilities "
            "say is the default: send the default model"
        )

    # How many.

    def test_as_many_as_one_request_may_make_are_asked_for_at_once(self) -> None:
        """What one request can do is not done by several."""
        most = self._most()
        found, one = self.reached(n=most), self.reached()
        assert len(found.makes) == len(one.makes), (
            f"max_images is {most}, and n={most} made {len(found.makes)} requests where one "
            f"picture makes {len(one.makes)}: hand request.n on"
        )
        assert len(found.came.pictures().slots) == most, (
            f"{len(found.came.pictures().slots)} slots came of n={most}"
        )

    def test_how_many_reaches_the_wire(self) -> None:
        """Two pictures are another request than one."""
        most = self._most()
        if most < 2:
            self.not_applicable("one request makes one picture")
        one, two = self.reached(), self.reached(n=2)
        assert one.said != two.said, "n=1 and n=2 come to the same request: n is not sent"

    def test_more_than_one_request_may_make_are_split(self) -> None:
        """No request asks for more than the model makes, and none is left out."""
        most = self.able.max_images
        if most is None:
            self.not_applicable("nobody knows how many pictures one request makes")
        found, one = self.reached(n=2 * most + 1), self.reached()
        slots = found.came.pictures().slots
        assert len(slots) == 2 * most + 1, f"{len(slots)} slots came of n={2 * most + 1}"
        assert len(found.makes) == 3 * len(one.makes), (
            f"max_images is {most}, and n={2 * most + 1} made {len(found.makes)} requests; three "
            f"times {len(one.makes)} were to come: ask for request.n, and for no more"
        )

    # Whom it goes to, and how often.

    def test_the_endpoint_is_https_or_this_machine(self) -> None:
        """A key on an open line is everybody's."""
        endpoint = self.bench().provider().endpoint
        if endpoint is None:
            self.not_applicable("it makes no requests")
        parts = urlsplit(endpoint.base_url)
        assert parts.scheme == "https" or parts.hostname in _LOOPBACK, (
            f"the endpoint is {endpoint.base_url!r}: https, or a server on this machine"
        )

    def test_requests_go_to_the_endpoint_and_nowhere_else(self) -> None:
        """Nobody else learns what is drawn."""
        if not self.on_wire:
            self.not_applicable("it makes no requests")
        bench = self.bench()
        endpoint = bench.provider().endpoint
        assert endpoint is not None
        home = urlsplit(endpoint.base_url)
        able = self.able
        for operation in sorted(able.operations | able.emulates):
            self.reached(bench=bench, **self.usual(operation))
        for one in bench.host.asked:
            assert one.origin == f"{home.scheme}://{home.netloc}", (
                f"{one.method} {one.origin} was asked, and the endpoint is {endpoint.base_url}"
            )

    def test_a_base_url_of_the_callers_is_where_it_asks(self) -> None:
        """A proxy, a tenant or a server of one's own is one argument away."""
        endpoint = self.bench().provider().endpoint
        if endpoint is None:
            self.not_applicable("it makes no requests")
        bench = self.bench()
        bench.base_url = f"http://127.0.0.1:4242{urlsplit(endpoint.base_url).path}"
        found = self.ask(bench=bench)
        error = found.came.error
        if error is not None and not found.asked:
            self.not_applicable(f"with its settings it takes no base_url: {error}")
        assert all(one.origin == "http://127.0.0.1:4242" for one in found.asked), (
            f"base_url says http://127.0.0.1:4242, and {found.asked[0].origin} was asked: build "
            "the Endpoint from config.base_url where there is one"
        )

    def test_one_picture_is_asked_for_once(self) -> None:
        """No second request that costs, whatever came of the first."""
        able = self.able
        for operation in sorted(able.operations | able.emulates):
            found = self.reached(**self.usual(operation))
            said = [json.dumps(one.shape()) for one in found.makes if one.method != "CALL"]
            assert len(set(said)) == len(said), (
                f"the same request was sent twice for one picture ({operation})"
            )

    def test_each_way_asks_the_same_as_its_other_colour(self) -> None:
        """Async is no other provider than blocking."""
        said = {way: self.reached(way=way).said for way in WAYS}
        assert said["blocking"] == said["async"], "async asks something else than blocking"
        assert said["blocking stream"] == said["async stream"], (
            "an async stream asks something else than a blocking one"
        )

    def test_the_same_request_is_the_same_each_time(self) -> None:
        """No clock, no chance: what cannot be told apart can be cached, planned and recorded."""
        one, other = self.reached(), self.reached()
        assert one.said == other.said, (
            "the same request is another one the second time: send nothing that is drawn by lot or "
            "read from a clock"
        )

    def test_nothing_of_an_earlier_call_is_kept(self) -> None:
        """One client's calls know nothing of each other."""
        bench = self.bench()
        alone = self.reached()

        def twice(client: Any) -> list[Any]:
            client.run(self._request(seed=7, n=1, user="somebody", quality="low"))
            before = len(bench.host.asked)
            came = client.run(self._request())
            return [before, came]

        before, came = bench.call(twice)
        later = Reached(Came(came), bench.host.asked[before:])
        # What a host calls its jobs is its own affair.
        fresh, later = Reached(alone.came, alone.makes), Reached(later.came, later.makes)
        assert later.said == fresh.said, (
            "a call after another is not what it is by itself: keep nothing of a request in the "
            "provider"
        )

    def test_two_clients_side_by_side_have_their_own_pictures(self) -> None:
        """Nothing is shared between two threads but the code."""
        benches = [self.bench(png(10)), self.bench(png(90))]
        alone = [self._pictures(self.bench(png(shade))) for shade in (10, 90)]
        together: dict[int, Any] = {}
        gate = threading.Barrier(2)

        def ask(number: int) -> None:
            gate.wait()
            together[number] = self._pictures(benches[number])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert [together.get(0), together.get(1)] == alone, (
            "two clients in two threads do not come to what each comes to alone: keep no state in "
            "the module"
        )

    def _pictures(self, bench: Bench) -> Any:
        found = bench.ask(**self.usual())
        slots = found.response.slots if found.response is not None else [found.error]
        return [getattr(slot, "data", repr(slot)) for slot in slots], Reached(
            found, list(bench.host.asked)
        ).said

    def _most(self) -> int:
        most = self.able.max_images
        return 1 if most is None else most

    def _words(self) -> dict[str, Any]:
        usual = self.usual()
        if usual["prompt"] is None:
            self.not_applicable("it takes no words")
        return usual

    def _request(self, **fields: Any) -> ImageRequest:
        return ImageRequest(**{**self.usual(), **fields})


def _texts(said: Any) -> list[str]:
    match said:
        case dict():
            return [word for value in said.values() for word in _texts(value)]
        case list():
            return [word for value in said for word in _texts(value)]
        case str():
            return [said]
    return []
