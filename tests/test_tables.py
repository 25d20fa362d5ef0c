"""The tables that plugins ship, and those with which users patch them."""

from __future__ import annotations

import os
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import Allowed, Capabilities, ConfigurationError, PluginError, SizeRule
from imagekit._plugins import Plugins
from imagekit._providers import Profile, Providers
from imagekit._tables import File, Patches, Tables, patches
from imagekit.provider import Lifecycle, Source, tables
from toys import Whole, plugins

DAY = date(2026, 11, 20)
SHIPPED = """
source = "the box"
as_of = 2026-11-20

[sources.page]
text = "the page"
as_of = 2026-11-01

[both."*"]
max_images = 4
parameters.seed = "no"
parameters.quality = { values = ["low"], others = true }
options.steps = { low = 1 }

[both."toy-*"]
source = "page"
parameters.quality = { values = ["low", "high"] }
sources.quality = "somebody said so"

[both.toy-1]
as_of = 2026-11-02
size = { multiple = 16 }
lifecycle.released = 2025-01-01

[both."toy-[12]"]
inputs = ["url"]
sources.inputs = { text = "a test", as_of = 2026-11-03 }

[one.toy-1]
max_images = 1
lifecycle.shuts_down = 2026-12-01
options.seams = "yes"
prices = { items = [{ amount = "2.5", per = 1_000_000 }] }
"""


def of(text: str, place: str = "box.toml") -> Tables:
    return Tables(File(place, lambda: tomllib.loads(text)))


class TestTables:
    BOX = of(SHIPPED)

    def test_what_is_said_of_all_holds_for_whoever_is_not_named(self) -> None:
        able = self.BOX.of(None, "both")
        assert (able.model, able.max_images, able.size) == (None, 4, None)
        assert able.supports("seed") == "no"
        assert able.options["steps"] == Allowed(low=1)
        assert (able.source, able.as_of) == ("the box", DAY)

    def test_a_pattern_holds_for_those_it_fits_and_a_name_comes_last(self) -> None:
        able = self.BOX.of("toy-1", "both")
        assert able.supports("quality") == Allowed(values=("low", "high"))
        assert able.supports("seed") == "no"
        assert able.size == SizeRule(multiple=16)
        assert able.inputs == {"url"}
        assert self.BOX.of("toy-3", "both").inputs == {"bytes"}
        assert self.BOX.of("boat-1", "both").supports("quality") == Allowed(
            values=("low",), others=True
        )

    def test_a_snapshot_inherits_its_model(self) -> None:
        able = self.BOX.of("toy-1-2026-01-02", "both")
        assert able.model == "toy-1-2026-01-02"
        assert able.size == SizeRule(multiple=16)
        assert self.BOX.of("toy-1-2026-01-2", "both").size is None

    def test_a_section_stands_upon_the_one_before(self) -> None:
        able = self.BOX.of("toy-1", "both", "one")
        assert able.max_images == 1
        assert able.lifecycle == Lifecycle(released=date(2025, 1, 1), shuts_down=date(2026, 12, 1))
        assert set(able.options) == {"steps", "seams"}
        assert able.prices is not None
        assert able.prices.items[0].amount == Decimal("2.5")
        assert self.BOX.of("toy-1", "one", "both").max_images == 4

    def test_each_fact_has_its_source(self) -> None:
        able = self.BOX.of("toy-1", "both", "one")
        assert {fact: str(one) for fact, one in able.sources.items()} == {
            "max_images": "the box, 2026-11-20",
            "seed": "the box, 2026-11-20",
            "options.steps": "the box, 2026-11-20",
            "quality": "somebody said so",
            "size": "2026-11-02",
            "lifecycle": "the box, 2026-11-20",
            "inputs": "a test, 2026-11-03",
            "options.seams": "the box, 2026-11-20",
            "prices": "the box, 2026-11-20",
        }

    def test_what_says_no_source_at_all_leaves_the_earlier_one(self) -> None:
        other = File("other", lambda: {"both": {"toy-1": {"max_images": 2}}})
        able = Tables(*self.BOX._files, other).of("toy-1", "both")
        assert able.max_images == 2
        assert str(able.source_of("max_images")) == "the box, 2026-11-20"

    def test_the_named_models_are_listed_in_their_order(self) -> None:
        assert of('[a.z]\n[a.b]\n[a."*"]\n[c.d]').names("a") == ("z", "b")
        assert of("").names("a") == ()

    def test_a_section_that_is_not_there_is_the_plugins_mistake(self) -> None:
        with pytest.raises(PluginError, match=r"box.toml has no section 'both'"):
            of("").of("toy-1", "both")

    def test_a_file_is_read_once_and_only_when_it_is_asked(self) -> None:
        read: list[int] = []

        def once() -> dict[str, Any]:
            read.append(1)
            return {"a": {"*": {}}}

        found = Tables(File("x", once))
        assert read == []
        found.of("m", "a")
        found.of("m", "a")
        assert read == [1]


WRONG = [
    ('[a."*"]\nmax_images = "10"', 'a."*".max_images: Input should be a valid integer'),
    ('[a."*"]\nmax_images = true', 'a."*".max_images: Input should be a valid integer'),
    ('[a."*"]\nmax_images = 0', 'a."*".max_images: Input should be greater than or equal to 1'),
    ("[a.m]\nstreaming = 1", "a.m.streaming: Input should be a valid boolean"),
    ("[a.m]\nmax_imges = 1", "a.m.max_imges: no such fact; there are: as_of, detaches, "),
    ('[a.m]\nmodel = "m"', "a.m.model: no such fact"),
    ("[a.m]\nsize = { sizes = ['12'] }", "a.m.size.sizes.0: String should match"),
    ('[a.m]\nparameters.seed = "maybe"', "a.m.parameters.seed: Input should be 'yes', 'no' or"),
    ("[a.m]\nparameters.seed = { lo = 1 }", "a.m.parameters.seed.lo: there is no such key"),
    ('[a.m]\nparameters.sed = "no"', "a.m.parameters.sed: a request has no such field"),
    ("[a.m]\nparameters.seed.when.hue = ['x']", "a.m.parameters.seed.when: a request has no 'hue'"),
    ("[a.m]\nlifecycle.shuts_down = 'soon'", "a.m.lifecycle.shuts_down: Input should be a valid"),
    ("[a.m]\nprices.items = [{ amount = 2.5 }]", "a.m.prices.items.0.amount: an exact number is"),
    ("[a.m]\nprices = 5", "a.m.prices: this is a table, and not one value"),
    ('[a.m]\nsources.seed = "x"', "a.m.sources.seed: this table says no such fact"),
    ("[a.m]\nsources = 'x'", "a.m.sources: this is a table, and not one value"),
    ("[a.m]\nas_of = 'soon'", "a.m.as_of: Input should be a valid date"),
    ("[a.m]\nas_of = 12:00:00", "a.m: this is no table of facts: datetime.time(12, 0) is neither"),
    ("[a]\nm = 1", "a.m: this is a table, and not one value"),
    ("a = 1", "a: this is a table, and not one value"),
    ("as_of = 3", "as_of: Input should be a valid date"),
    ("sources = 3", "sources: this is a table, and not one value"),
    ("[sources.x]\ntxt = 'y'", "sources.x.txt: there is no such key"),
]


@pytest.mark.parametrize(("text", "why"), WRONG)
def test_what_is_wrong_is_named_by_file_table_and_key(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        of(text).of("m", "a")
    assert str(caught.value).startswith(f"box.toml: {why}")
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as mine:
        patches(path, {})
    assert str(mine.value).startswith(f"{path}: {why}")


class TestShipped:
    def test_a_file_that_a_package_ships_is_read(self) -> None:
        found = tables("imagekit_sketch", "capabilities.toml")
        assert found.names("sketch") == ("sketch-1",)

    def test_a_file_that_is_not_shipped_is_the_plugins_mistake(self) -> None:
        with pytest.raises(PluginError, match=r"imagekit_sketch does not ship its nothing.toml"):
            tables("imagekit_sketch", "nothing.toml").names("x")

    def test_a_file_that_is_no_table_is_too(self) -> None:
        with pytest.raises(PluginError, match=r"imagekit_sketch/__init__.py: it is no TOML"):
            tables("imagekit_sketch", "__init__.py").names("x")


# --- the user's own


PATCH = """
source = "I tried"
as_of = 2026-11-19

[toys."*"]
max_images = 2

[toy.toy-1]
parameters.seed = "yes"
parameters.quality = { values = ["low"] }
sources.quality = { text = "the bill" }
lifecycle.shuts_down = 2027-01-01

[mine.toy-1]
max_images = 3
"""
ABLE = Capabilities(
    model="toy-1",
    max_images=1,
    parameters={"seed": "no", "user": "no"},
    lifecycle=Lifecycle(released=DAY),
    source="the box",
    as_of=DAY,
)


def on(found: Patches, **who: Any) -> Capabilities:
    given = {"provider": "toy", "profile": None, "family": None, "model": None}
    return found.on(ABLE, **{**given, **who})


class TestPatches:
    MINE = patches(tomllib.loads(PATCH), {})

    def test_one_says_only_what_differs(self) -> None:
        able = on(self.MINE)
        assert able.parameters == {"seed": "yes", "user": "no", "quality": Allowed(values=("low",))}
        assert able.lifecycle == Lifecycle(released=DAY, shuts_down=date(2027, 1, 1))
        assert (able.max_images, able.source, able.as_of) == (1, "the box", DAY)

    def test_each_fact_of_it_says_whose_it_is(self) -> None:
        able = on(self.MINE)
        place = "capabilities="
        tried = Source(text="I tried", as_of=date(2026, 11, 19), patch=place)
        assert able.source_of("seed") == tried
        assert able.source_of("lifecycle") == tried
        assert able.source_of("quality") == Source(text="the bill", patch=place)
        assert able.source_of("user") == Source(text="the box", as_of=DAY)

    def test_one_without_a_source_still_says_whose_it_is(self) -> None:
        able = on(patches({"toy": {"*": {"max_images": 9}}}, {}))
        assert able.source_of("max_images") == Source(patch="capabilities=")

    def test_the_profile_comes_last_and_the_family_first(self) -> None:
        assert on(self.MINE, family="toys").max_images == 2
        assert on(self.MINE, family="toys", profile="mine").max_images == 3
        assert on(self.MINE, family="toy").max_images == 1

    def test_another_model_stays_what_it_is(self) -> None:
        assert on(self.MINE, model="toy-2") == ABLE
        assert on(self.MINE, provider="other") == ABLE
        assert on(self.MINE, model="toy-1-2026-01-02").supports("seed") == "yes"

    def test_none_change_nothing(self) -> None:
        assert on(Patches()) is ABLE
        assert on(patches(False, {"IMAGEKIT_CAPABILITIES": "/nowhere"})) is ABLE

    def test_they_reach_a_call_by_the_providers(self) -> None:
        class Toy(Whole):
            def capabilities(self, model: str | None) -> Capabilities:
                return ABLE

        made: Plugins = plugins(toy=Toy(family="toys"))
        own = [Profile("mine", "toy")]
        who = Providers("toy", Profile("", ""), own, made, {}, patches=self.MINE)
        assert who.capabilities("toy", None).max_images == 2
        assert who.capabilities("mine", "toy-1").max_images == 3
        assert who.capabilities("mine", "boat-1").supports("seed") == "no"
        bare = Providers("toy", Profile("", ""), own, made, {})
        assert bare.capabilities("toy", None) is ABLE

    def test_what_is_said_of_nobody_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        class Toy(Whole):
            def capabilities(self, model: str | None) -> Capabilities:
                return ABLE

        names = ("toy", "toys", "mine", "kit", "tyo")
        said = patches({name: {"*": {"max_images": 2}} for name in names}, {})
        made = plugins(**{"toy": Toy(family="toys"), "kit-images": Toy()})
        who = Providers("toy", Profile("", ""), [Profile("mine", "toy")], made, {}, patches=said)
        for _ in range(2):
            who.capabilities("toy", None)
        words = (
            "capabilities=: [tyo] names no provider, family or profile that is here: it changes "
            "nothing"
        )
        assert who.stray() == (words,)
        assert [one.getMessage() for one in caplog.records] == [words]

    @pytest.mark.parametrize("value", [object(), {1, "a"}, float])
    def test_what_no_file_could_say_is_refused(self, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"capabilities=: toy.m: this is no table"):
            patches({"toy": {"m": {"max_images": value}}}, {})

    def test_code_may_say_it_in_its_own_words(self) -> None:
        said = {
            "inputs": {"url"},
            "lifecycle": {"shuts_down": DAY},
            "prices": {"batch": Decimal(2)},
        }
        able = on(patches({"toy": {"*": said}}, {}))
        assert able.inputs == {"url"}
        assert able.lifecycle.shuts_down == DAY
        assert able.prices is not None
        assert able.prices.batch == 2


class TestPlaces:
    SEED = '[toy."*"]\nparameters.seed = "yes"\n'

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def wrote(self, name: str, text: str | bytes = SEED) -> Path:
        path = Path(name).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def seed(self, given: Any = None, **env: str) -> object:
        return on(patches(given, env)).supports("seed")

    def test_nothing_is_read_where_nothing_is(self) -> None:
        assert self.seed() == "no"

    def test_the_folder_that_is_worked_in_is_not_looked_at(self) -> None:
        self.wrote("capabilities.toml")
        self.wrote("imagekit.toml")
        assert self.seed() == "no"

    def test_the_users_own_lies_beside_the_configuration(self) -> None:
        self.wrote("config/imagekit/capabilities.toml")
        assert self.seed() == "yes"
        source = on(patches(None, {})).source_of("seed")
        assert source is not None
        # It goes into plans and manifests, which say nothing of this machine.
        assert source.patch == "capabilities.toml"
        assert self.seed(False) == "no"

    def test_without_a_home_there_is_no_usual_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wrote("config/imagekit/capabilities.toml")
        monkeypatch.setattr(
            "platformdirs.user_config_path", lambda *_, **__: Path("config/imagekit")
        )
        assert self.seed() == "no"

        def nobody(*_: Any, **__: Any) -> Path:
            raise RuntimeError("no home")

        monkeypatch.setattr("platformdirs.user_config_path", nobody)
        assert self.seed() == "no"

    def test_code_names_one_by_any_path(self) -> None:
        self.wrote("mine.toml")
        self.wrote("home/mine.toml")
        assert self.seed("mine.toml") == "yes"
        assert self.seed(Path("~/mine.toml")) == "yes"
        assert self.seed(os.devnull) == "no"

    def test_the_environment_names_one_by_a_whole_path(self) -> None:
        path = self.wrote("home/mine.toml")
        self.wrote("config/imagekit/capabilities.toml", "[")
        assert self.seed(IMAGEKIT_CAPABILITIES=str(path)) == "yes"
        assert self.seed(IMAGEKIT_CAPABILITIES="~/mine.toml") == "yes"
        assert self.seed(IMAGEKIT_CAPABILITIES=os.devnull) == "no"
        assert self.seed({}, IMAGEKIT_CAPABILITIES="/nowhere") == "no"
        with pytest.raises(ConfigurationError, match="must name a file by its whole path"):
            self.seed(IMAGEKIT_CAPABILITIES="home/mine.toml")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("[", "it is no TOML: "),
            (b"\xff", "it is no text in UTF-8"),
            ("a = " + "[" * 5000, "it nests too deeply"),
        ],
    )
    def test_what_is_no_table_is_one_clear_error(self, text: str | bytes, why: str) -> None:
        path = self.wrote("mine.toml", text)
        with pytest.raises(ConfigurationError) as caught:
            self.seed(path)
        assert str(caught.value).startswith(f"{path}: {why}")

    def test_one_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(
            ConfigurationError, match=r"capabilities= names .*mine.toml, which is not"
        ):
            self.seed("mine.toml")
        with pytest.raises(ConfigurationError, match=r"CAPABILITIES names /nowhere, which"):
            self.seed(IMAGEKIT_CAPABILITIES="/nowhere")
        with pytest.raises(ConfigurationError, match=r"file of capabilities .*: it is no plain"):
            self.seed(".")

    def test_nobody_knows_where_a_home_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationError, match=r"begins with ~, and nobody knows"):
            self.seed("~nobody-has-this-name/mine.toml")


def test_every_provider_here_says_where_its_facts_are_from() -> None:
    with imagekit.Client(provider="sketch") as client:
        able = client.capabilities()
    assert str(able.source_of("seed")) == "this package"
