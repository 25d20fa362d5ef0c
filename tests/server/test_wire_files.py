from __future__ import annotations

from typing import Any

import pytest

from desk import InProcess, error_of
from imagekit import Capabilities
from imagekit.server import Limits
from spoken import httpx
from toys import Inside, picture

PNG = picture(3)
TOKENS = ("first-token", "other-token")


class Toy(Inside):
    models = ("toy-1", "toy-2")

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(model="toy-2" if model == "toy-latest" else None)


class Desk(InProcess):
    def ask(self, method: str, path: str, token: str = TOKENS[0], **given: Any) -> httpx.Response:
        return super().ask(method, path, headers={"authorization": f"Bearer {token}"}, **given)

    def upload(
        self, data: bytes = PNG, name: str = "a.png", purpose: str = "vision", **more: Any
    ) -> httpx.Response:
        files = {"file": (name, data)}
        return self.ask("POST", "/files", data={"purpose": purpose, **more}, files=files)


@pytest.fixture
def desk() -> Desk:
    return Desk(Toy(), tokens=TOKENS)


class TestAFile:
    def test_is_kept_as_it_came(self, desk: Desk) -> None:
        made = desk.upload().json()
        assert made.pop("id").startswith("file-")
        assert made.pop("expires_at") - made.pop("created_at") == 24 * 3600
        assert made == {
            "object": "file",
            "bytes": len(PNG),
            "filename": "a.png",
            "purpose": "vision",
            "status": "processed",
        }

    def test_can_be_had_again(self, desk: Desk) -> None:
        made = desk.upload().json()
        assert desk.ask("GET", f"/files/{made['id']}").json() == made

    def test_comes_back_as_a_download_that_no_browser_opens(self, desk: Desk) -> None:
        answer = desk.ask("GET", f"/files/{desk.upload().json()['id']}/content")
        assert answer.content == PNG
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == "attachment"

    def test_is_forgotten_on_demand(self, desk: Desk) -> None:
        id = desk.upload().json()["id"]
        said = {"id": id, "object": "file", "deleted": True}
        assert desk.ask("DELETE", f"/files/{id}").json() == said
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            assert desk.ask(method, f"/files/{id}{path}").status_code == 404

    @pytest.mark.parametrize("purpose", ["vision", "user_data", "assistants"])
    def test_has_one_of_a_few_purposes(self, desk: Desk, purpose: str) -> None:
        assert desk.upload(purpose=purpose).json()["purpose"] == purpose

    def test_has_no_other_purpose(self, desk: Desk) -> None:
        assert error_of(desk.upload(purpose="fine-tune")) == ("invalid_value", "purpose")

    def test_needs_a_purpose(self, desk: Desk) -> None:
        answer = desk.ask("POST", "/files", files={"file": ("a.png", PNG)})
        assert error_of(answer) == ("missing_required_parameter", "purpose")

    def test_has_no_other_fields(self, desk: Desk) -> None:
        assert error_of(desk.upload(owner="me")) == ("unknown_parameter", "owner")

    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("/home/me/a.png", "a.png"),
            ("C:\\Users\\me\\a.png", "a.png"),
            ("../../a.png", "a.png"),
            ("blob", "blob"),
            ("ein Bild ü.png", "ein Bild ü.png"),
            ("x" * 400, "x" * 255),
        ],
    )
    def test_has_a_name_without_its_folders(self, desk: Desk, name: str, kept: str) -> None:
        assert desk.upload(name=name).json()["filename"] == kept

    @pytest.mark.parametrize(
        ("data", "code"), [(b"", "empty_image_file"), (b"text", "unsupported_file_mimetype")]
    )
    def test_is_a_picture(self, desk: Desk, data: bytes, code: str) -> None:
        assert error_of(desk.upload(data)) == (code, "file")

    def test_may_be_a_gif(self, desk: Desk) -> None:
        assert desk.upload(b"GIF89a\1\0\1\0\0\0\0;").status_code == 200

    @pytest.mark.parametrize("count", [0, 2])
    def test_comes_alone(self, desk: Desk, count: int) -> None:
        files = [("file", ("a.png", PNG))] * count or [("file", (None, ""))]
        answer = desk.ask("POST", "/files", data={"purpose": "vision"}, files=files)
        assert error_of(answer) == ("missing_required_parameter", "file")

    def test_may_have_no_name(self, desk: Desk) -> None:
        files = [("file", (None, PNG))]
        answer = desk.ask("POST", "/files", data={"purpose": "vision"}, files=files)
        assert answer.json()["filename"] == "upload"
        assert answer.json()["bytes"] == len(PNG)

    def test_comes_in_a_form(self, desk: Desk) -> None:
        found = error_of(desk.ask("POST", "/files", json={"purpose": "vision"}), 415)
        assert found == ("unsupported_content_type", None)

    def test_of_somebody_else_is_not_there(self, desk: Desk) -> None:
        id = desk.upload().json()["id"]
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            answer = desk.ask(method, f"/files/{id}{path}", TOKENS[1])
            assert error_of(answer, 404) == (None, "id")
        assert desk.ask("GET", f"/files/{id}").status_code == 200

    def test_does_not_stay_for_ever(self) -> None:
        desk = Desk(Toy(), tokens=TOKENS, limits=Limits(kept=1e-9))
        assert desk.ask("GET", f"/files/{desk.upload().json()['id']}").status_code == 404


class TestTheList:
    def test_is_empty_at_first(self, desk: Desk) -> None:
        said = {"object": "list", "data": [], "has_more": False}
        assert desk.ask("GET", "/files").json() == said

    def test_has_the_newest_first(self, desk: Desk) -> None:
        made = [desk.upload(name=name).json() for name in ("a", "b")]
        assert desk.ask("GET", "/files").json() == {
            "object": "list",
            "data": made[::-1],
            "has_more": False,
            "first_id": made[1]["id"],
            "last_id": made[0]["id"],
        }

    def test_is_of_ones_own(self, desk: Desk) -> None:
        desk.upload()
        assert desk.ask("GET", "/files", TOKENS[1]).json()["data"] == []


class TestModels:
    def test_are_those_that_somebody_named(self) -> None:
        desk = Desk(Toy(), models={"gpt-image-2": "toy:toy-1", "toy-1": "toy"})
        said = desk.ask("GET", "/models").json()
        known = {"object": "model", "created": 0, "owned_by": "toy"}
        assert said == {
            "object": "list",
            "data": [{"id": id, **known} for id in ("gpt-image-2", "toy-1", "toy-2")],
        }

    @pytest.mark.parametrize("id", ["toy-1", "unheard-of", "maker/model-7", "ü"])
    def test_may_be_known_to_the_provider_alone(self, desk: Desk, id: str) -> None:
        answer = desk.ask("GET", f"/models/{id}")
        assert answer.json() == {"id": id, "object": "model", "created": 0, "owned_by": "toy"}

    @pytest.mark.parametrize("id", ["", "toy:toy-1"])
    def test_that_there_are_not_are_not_found(self, desk: Desk, id: str) -> None:
        assert error_of(desk.ask("GET", f"/models/{id}"), 404) == ("model_not_found", "model")
