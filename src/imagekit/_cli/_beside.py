"""The commands for what a provider keeps and judges beside pictures: files, upload, moderate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ._asked import picture_of, prompt_of
from ._faults import EXIT_CODES, dumped
from ._pictures import as_json, asked, check_base_url, images, several
from ._words import one_line, size_of

if TYPE_CHECKING:
    from .._beside import StoredFile
    from ._call import How

_whom = click.option("-p", "--provider", help="Who is asked.  [default: $IMAGEKIT_PROVIDER]")
_asked = several(_whom, asked, as_json)


def _how(given: Mapping[str, Any]) -> How:
    from ._call import How

    check_base_url(given)
    return How(
        provider=given["provider"],
        base_url=given["base_url"],
        deadline=given["deadline"],
        debug=given["debug"],
        json=given["as_json"],
    )


@click.command(epilog=EXIT_CODES)
@_asked
def files(**given: Any) -> None:
    """List the files that the provider keeps."""
    how = _how(given)

    from ._call import client_of, spoken

    with client_of(how) as client:
        found = client.files(**spoken(how))
    if how.json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found]))
    else:
        for one in found:
            _tell(one)


@click.command(epilog=EXIT_CODES)
@click.argument("image", metavar="IMAGE")
@_asked
def upload(image: str, **given: Any) -> None:
    """Give the provider IMAGE (- is standard input) to keep; says by what id."""
    how = _how(given)
    picture = picture_of(image)

    from ._call import client_of, spoken

    with client_of(how) as client:
        found = client.upload(picture, **spoken(how))
    if how.json:
        click.echo(dumped(found.model_dump(mode="json")))
    else:
        _tell(found)


def _tell(one: StoredFile) -> None:
    words = [one.id, one.name or "", size_of(one.size) if one.size is not None else ""]
    words += [one.purpose or "", f"until {one.expires_at:%Y-%m-%d %H:%M}" if one.expires_at else ""]
    click.echo("  ".join(one_line(word) for word in words if word))


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@images
@click.option("-m", "--model", help="The model that judges.")
@_asked
def moderate(prompt: str | None, images: tuple[str, ...], **given: Any) -> int:
    """Ask what the provider's rules say of PROMPT or pictures; nothing is made.

    Exits with 1 where they object.
    """
    how = _how(given)
    said = prompt_of(prompt, images) if prompt is not None or not images else None
    shown = [picture_of(word) for word in images]

    from ._call import client_of, spoken

    with client_of(how) as client:
        found = client.moderate(said, shown, model=given["model"], **spoken(how))
    if how.json:
        click.echo(dumped(found.model_dump(mode="json")))
    else:
        click.echo("objected to" if found.flagged else "nothing to object to")
        for name in found.categories:
            score = found.scores.get(name)
            click.echo(f"  {one_line(name)}" + ("" if score is None else f"  {score:.2f}"))
    return int(found.flagged)
