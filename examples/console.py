"""A loop that makes a picture of each line: `python console.py --provider sketch`."""

import argparse
import sys
import webbrowser
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import imagekit

HELP = """
a red bicycle       makes a picture and saves it
edit: add a hat     changes the last one
:provider NAME      asks somebody else from here on
:size 16:9          another shape, or pixels: 1024x1024
:quit               ends, as the end of the input does
"""


def typed() -> Iterator[str]:
    """The lines that a person types, or that come through a pipe."""
    try:
        while (line := input("> " if sys.stdin.isatty() else "").strip()) != ":quit":
            yield line
    except (EOFError, KeyboardInterrupt):
        pass


def followed(stream: imagekit.Stream) -> imagekit.Image:
    """The picture that *stream* ends with; what happens before is told as it happens."""
    with stream:
        for event in stream:
            match event:
                case imagekit.PartialImage():
                    print(f"preview {event.step + 1} …")
                case imagekit.Noticed():
                    print(event.notice)
    return stream.response.image


def saved(image: imagekit.Image) -> Path:
    """Save *image* under a name that is still free."""
    names = (Path(f"picture-{number}.{image.extension}") for number in count(1))
    return image.save(next(name for name in names if not name.exists()))


def told(error: imagekit.ImagekitError) -> str:
    """What went wrong, and whether it may cost something."""
    match error:
        case imagekit.ContentRejectedError():
            what = "refused"
        case imagekit.ConfigurationError():
            what = "not set up"
        case imagekit.TransportError():
            what = "no answer"
        case _:
            what = "no picture"
    return f"{what}: {error}" + (" (may be charged)" if error.billed in ("possibly", "yes") else "")


parser = argparse.ArgumentParser(
    description=__doc__, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--provider", help="who makes the pictures; else IMAGEKIT_PROVIDER says")
parser.add_argument("--open", action="store_true", help="show each picture that is made")
given = parser.parse_args()
provider, size = given.provider, None
last: list[imagekit.Image] = []

with imagekit.Client(partial_images=2) as client:
    for line in typed():
        command, _, rest = line.partition(" ")
        if command == ":provider":
            provider = rest or None
        elif command == ":size":
            size = rest or None
        elif command == "edit:" and not last:
            print("there is no picture to edit yet")
        elif not line or line.startswith(":"):
            print(HELP)
        else:
            prompt, images = (rest, last) if command == "edit:" else (line, [])
            try:
                asked = client.stream(prompt, images=images, provider=provider, size=size)
                last = [followed(asked)]
                path = saved(last[0])
                print(f"{path}: {last[0]}")
                if given.open:
                    webbrowser.open(path.absolute().as_uri())
            except imagekit.ImagekitError as error:
                print(told(error))
            except OSError as error:
                print(f"not saved: {error}")
            except KeyboardInterrupt:
                print("stopped (may be charged)")
