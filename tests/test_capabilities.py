from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

import alone
from imagekit import Allowed, Capabilities, ImageRequest, Notice, SizeRule, UnsupportedRequestError
from imagekit._prepared import checked
from imagekit.provider import Lifecycle, Source
from spoken import httpx
from toys import Whole, done, plugins
from ways import WAYS, make


@pytest.mark.parametrize(
    ("allowed", "value", "ok"),
    [
        (Allowed(values=("low", "high")), "low", True),
        (Allowed(values=("low", "high")), "medium", False),
        (Allowed(values=("1", "2")), 2, True),
        (Allowed(values=()), "low", False),
        (Allowed(low=0, high=100), 0, True),
        (Allowed(low=0, high=100), 100, True),
        (Allowed(low=0, high=100), -1, False),
        (Allowed(low=0, high=100), 100.5, False),
        (Allowed(low=2), 10**9, True),
        (Allowed(low=2), 1, False),
        (Allowed(high=2), -(10**9), True),
        (Allowed(high=2), 3, False),
        (Allowed(low=0, high=1), "not a number", True),
        (Allowed(), 3, True),
        (Allowed(values=("low",), others=True), "lowest", True),
        (Allowed(values=("low",), others=True, never=("max",)), "max", False),
        (Allowed(never=("max",)), "low", True),
        (Allowed(never=("7",)), 7, False),
        (Allowed(values=("low",), others=True, high=3), 4, False),
    ],
)
def test_a_condition_allows_its_values_and_what_lies_within(
    allowed: Allowed, value: object, ok: bool
) -> None:
    assert allowed.allows(value) is ok


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        (Allowed(values=("low", "high")), "low, high"),
        (Allowed(low=0, high=100), "0 to 100"),
        (Allowed(low=0.5, high=1.5), "0.5 to 1.5"),
        (Allowed(low=2), "at least 2"),
        (Allowed(high=3), "at most 3"),
        (Allowed(), "any"),
        (Allowed(values=("low",), others=True), "low, maybe others"),
        (Allowed(never=("max", "xhigh")), "any; not max, xhigh"),
        (
            Allowed(low=0, when={"output_format": ("gif", "webp")}),
            "at least 0; only with output_format gif or webp",
        ),
        (Allowed(unless={"output_format": ("gif",)}), "any; not with output_format gif"),
        (
            Allowed(each={"clear": Allowed(unless={"output_format": ("jpeg",)})}),
            "any; clear: not with output_format jpeg",
        ),
    ],
)
def test_a_condition_says_what_it_allows(allowed: Allowed, said: str) -> None:
    assert str(allowed) == said


RULE = SizeRule(
    multiple=16, low_edge=256, high_edge=3840, ratio=3, low_pixels=655_360, high_pixels=8_294_400
)


@pytest.mark.parametrize(
    ("rule", "size", "ok"),
    [
        (SizeRule(sizes=("1024x1024", "1536x1024")), (1536, 1024), True),
        (SizeRule(sizes=("1024x1024", "1536x1024")), (1024, 1536), False),
        (SizeRule(), (1, 9999), True),
        (RULE, (1024, 1024), True),
        (RULE, (3840, 2160), True),
        (RULE, (1024, 1025), False),
        (RULE, (1025, 1024), False),
        (RULE, (3856, 2048), False),
        (RULE, (3072, 1024), True),
        (RULE, (3088, 1024), False),
        (RULE, (1024, 3088), False),
        (RULE, (1024, 640), True),
        (RULE, (1024, 624), False),
        (RULE, (3840, 2176), False),
        (SizeRule(low_edge=256), (256, 255), False),
        (SizeRule(low_edge=256), (256, 256), True),
    ],
)
def test_a_rule_allows_what_keeps_every_limit(
    rule: SizeRule, size: tuple[int, int], ok: bool
) -> None:
    assert rule.allows(*size) is ok


@pytest.mark.parametrize(
    ("parameter", "support"),
    [("seed", "yes"), ("user", "no"), ("quality", Allowed(values=("low",))), ("hue", "unknown")],
)
def test_what_is_not_said_of_a_parameter_is_unknown(parameter: str, support: object) -> None:
    known: Any = {"seed": "yes", "user": "no", "quality": Allowed(values=("low",))}
    assert Capabilities(parameters=known).supports(parameter) == support


def test_capabilities_go_to_json_and_back() -> None:
    able = Capabilities(
        model="toy-1",
        operations=frozenset({"generate", "edit"}),
        mask="white",
        size=RULE,
        parameters={"seed": "no", "quality": Allowed(values=("low",))},
    )
    assert Capabilities.model_validate_json(able.model_dump_json()) == able


# --- what stands beside what


ONLY = Allowed(when={"output_format": ("jpeg", "webp")})
NEVER = Allowed(unless={"output_format": ("gif",)})
CLEAR = Allowed(each={"clear": ONLY})


@pytest.mark.parametrize(
    ("allowed", "value", "beside", "clash"),
    [
        (ONLY, 50, {"output_format": "webp"}, None),
        (ONLY, 50, {"output_format": "png"}, "only with output_format jpeg or webp, not 'png'"),
        (ONLY, 50, {"output_format": None}, None),
        (ONLY, 50, {}, None),
        (NEVER, 50, {"output_format": "gif"}, "not with output_format 'gif'"),
        (NEVER, 50, {"output_format": "new"}, None),
        (NEVER, 50, {"output_format": None}, None),
        (
            CLEAR,
            "clear",
            {"output_format": "png"},
            "only with output_format jpeg or webp, not 'png'",
        ),
        (CLEAR, "blue", {"output_format": "png"}, None),
        (Allowed(when={"n": ("1",)}), "x", {"n": 2}, "only with n 1, not '2'"),
    ],
)
def test_a_condition_knows_what_it_does_not_go_with(
    allowed: Allowed, value: object, beside: dict[str, Any], clash: str | None
) -> None:
    assert allowed.clash(value, beside) == clash


def test_a_condition_on_what_no_request_has_is_none() -> None:
    with pytest.raises(ValidationError, match="a request has no 'hue'"):
        Allowed(unless={"hue": ("red",)})
    assert Allowed(when={"operation": ("edit",)}).clash("x", {"operation": "edit"}) is None


class TestConditions:
    ABLE = Capabilities(
        parameters={
            "output_format": Allowed(values=("png", "webp", "jpeg")),
            "output_compression": ONLY,
            "background": Allowed(each={"clear": Allowed(unless={"output_format": ("jpeg",)})}),
            "quality": Allowed(when={"operation": ("edit",)}),
        }
    )

    def asked(self, **said: Any) -> tuple[dict[str, Any], list[Notice]]:
        request, notices = checked(ImageRequest(prompt="x", **said), self.ABLE, "toy")
        return {name: getattr(request, name) for name in said}, notices

    def test_what_clashes_is_dropped_with_a_notice(self) -> None:
        sent, [told] = self.asked(output_format="png", output_compression=50)
        assert sent == {"output_format": "png", "output_compression": None}
        assert (told.kind, told.feature, told.wanted) == ("unsupported", "output_compression", "50")
        assert told.detail == (
            "toy: output_compression 50 goes only with output_format jpeg or webp, not 'png'"
        )

    def test_a_single_value_that_clashes_too(self) -> None:
        sent, [told] = self.asked(output_format="jpeg", background="clear")
        assert sent["background"] is None
        assert told.detail == "toy: background 'clear' goes not with output_format 'jpeg'"

    def test_what_was_dropped_clashes_with_nothing(self) -> None:
        sent, [told] = self.asked(output_format="gif", output_compression=50)
        assert sent == {"output_format": None, "output_compression": 50}
        assert told.feature == "output_format"

    def test_what_is_wrong_twice_is_told_once(self) -> None:
        both = Allowed(high=10, when={"output_format": ("webp",)})
        able = Capabilities(parameters={"output_compression": both})
        request = ImageRequest(prompt="x", output_format="png", output_compression=50)
        _, [told] = checked(request, able, "toy")
        assert "may be at most 10" in told.detail

    @pytest.mark.parametrize("said", [{}, {"output_format": "webp"}])
    def test_what_fits_or_was_not_said_passes(self, said: dict[str, Any]) -> None:
        sent, notices = self.asked(output_compression=50, background="clear", **said)
        assert (sent["output_compression"], sent["background"], notices) == (50, "clear", [])

    def test_the_operation_counts_as_a_field(self) -> None:
        sent, [told] = self.asked(quality="low")
        assert sent == {"quality": None}
        assert "only with operation edit, not 'generate'" in told.detail

    def test_a_clash_is_an_error_where_asked(self) -> None:
        with pytest.raises(UnsupportedRequestError, match="only with output_format jpeg or webp"):
            self.asked(output_format="png", output_compression=50, unsupported="error")

    def test_a_clash_is_dropped_in_silence_where_asked(self) -> None:
        sent, notices = self.asked(output_format="png", output_compression=50, unsupported="ignore")
        assert (sent["output_compression"], notices) == (None, [])


@pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
def test_a_prompt_that_is_too_long_is_refused_and_never_cut(policy: Any) -> None:
    able = Capabilities(max_prompt=5)
    fits = ImageRequest(prompt="12345", unsupported=policy)
    assert checked(fits, able, "toy") == (fits, [])
    with pytest.raises(UnsupportedRequestError, match="at most 5 characters, and this one has 6"):
        checked(fits.with_(prompt="123456"), able, "toy")


def test_a_request_without_a_prompt_is_never_too_long() -> None:
    able = Capabilities(max_prompt=1, operations=frozenset({"variation"}))
    request = ImageRequest(images=b"x")
    assert checked(request, able, "toy") == (request, [])


# --- when a model comes and goes


DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("life", "status", "near", "said"),
    [
        (Lifecycle(), "unknown", False, "unknown"),
        (Lifecycle(released=DAY), "released", False, "released 2026-11-20"),
        (Lifecycle(released=date(2026, 11, 21)), "unknown", False, "released 2026-11-21"),
        (Lifecycle(shuts_down=DAY), "retired", True, "retired 2026-11-20"),
        (Lifecycle(shuts_down=date(2026, 11, 21)), "shuts down", True, "shuts down 2026-11-21"),
        (Lifecycle(shuts_down=date(2027, 5, 22)), "shuts down", True, "shuts down 2027-05-22"),
        (
            Lifecycle(released=date(2025, 1, 1), shuts_down=date(2027, 5, 23), replaced_by="toy-2"),
            "shuts down",
            False,
            "released 2025-01-01, shuts down 2027-05-23, replaced by toy-2",
        ),
    ],
)
def test_a_model_has_a_life(life: Lifecycle, status: str, near: bool, said: str) -> None:
    assert (life.status(), life.is_near(), str(life)) == (status, near, said)
    assert (life.status(DAY), life.is_near(DAY)) == (status, near)


def test_the_day_is_todays(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Lifecycle(shuts_down=date(2026, 11, 21))
    monkeypatch.setattr("imagekit._capabilities.today", lambda: date(2026, 11, 21))
    assert life.status() == "retired"
    monkeypatch.undo()
    assert life.status() == "shuts down"


def test_the_clock_is_the_real_one_outside_of_tests() -> None:
    before = date.today()
    assert before <= alone.real_today() <= date.today()


@pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
@pytest.mark.parametrize(
    ("life", "words"),
    [
        (Lifecycle(shuts_down=DAY), "toy: toy-1 was shut down on 2026-11-20 (the box)"),
        (
            Lifecycle(shuts_down=date(2026, 12, 1), replaced_by="toy-2"),
            "toy: toy-1 shuts down on 2026-12-01; it is replaced by toy-2 (the box)",
        ),
    ],
)
def test_an_end_that_is_near_is_told_whatever_the_policy(
    policy: Any, life: Lifecycle, words: str
) -> None:
    able = Capabilities(model="toy-1", lifecycle=life, source="the box")
    request = ImageRequest(prompt="x", unsupported=policy)
    same, [told] = checked(request, able, "toy")
    assert same is request
    assert told == Notice(kind="deprecated", feature="model", detail=words, wanted="toy-1")
    _, [told] = checked(request.with_(model="toy-1-2026-01-01"), able, "toy")
    assert told.wanted == "toy-1-2026-01-01"


def test_an_end_of_a_model_without_a_name_or_a_source_is_told_all_the_same() -> None:
    able = Capabilities(lifecycle=Lifecycle(shuts_down=DAY))
    _, [told] = checked(ImageRequest(prompt="x"), able, "toy")
    assert told.detail == "toy: its model was shut down on 2026-11-20"
    assert told.wanted is None


@pytest.mark.parametrize("way", WAYS)
def test_an_end_is_told_once_in_each_way_to_ask(way: str) -> None:
    going = Capabilities(max_images=1, lifecycle=Lifecycle(shuts_down=DAY))
    toys = plugins(toy=Whole(able=going))
    response = make(
        way,
        ImageRequest(prompt="x", n=2),
        handler=lambda _: httpx.Response(200, json=done()),
        provider="toy",
        plugins=toys,
    )
    assert [one.kind for one in response.notices] == ["deprecated"]


# --- where it is from


def test_a_fact_has_its_own_source_or_the_models() -> None:
    own = Source(text="a test", as_of=DAY)
    able = Capabilities(source="the box", as_of=DAY, sources={"quality": own})
    assert able.source_of("quality") == own
    assert able.source_of("seed") == Source(text="the box", as_of=DAY)
    assert Capabilities(as_of=DAY).source_of("seed") == Source(as_of=DAY)
    assert Capabilities().source_of("seed") is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(text="a test", as_of=DAY), "a test, 2026-11-20"),
        (Source(text="a test"), "a test"),
        (Source(as_of=DAY), "2026-11-20"),
        (Source(text="a test", patch="mine.toml"), "a test, in mine.toml"),
        (Source(patch="mine.toml"), "in mine.toml"),
        (Source(), "no source said"),
    ],
)
def test_a_source_says_itself(source: Source, said: str) -> None:
    assert str(source) == said
