"""Write pages from the templates in `assets`."""

from collections.abc import Mapping

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from roi_ray.votes.http.assets_folder import ASSETS, StaticFiles


class Pages:
    """The pages of a study. Whatever they show is escaped.

    Args:
        files: style sheets and scripts; templates get their paths by `static("base.css")`.
    """

    def __init__(self, files: StaticFiles) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(ASSETS),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["static"] = files.url
        self._environment.filters["paragraphs"] = split_paragraphs

    def write(
        self,
        template: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """Write a page.

        Args:
            template: name of the template.
            status: status of the answer.
            headers: more headers.
            values: what the template shows.
        """
        text = self._environment.get_template(template).render(values)
        content = text.encode("utf-8", errors="replace")
        return HTMLResponse(content, status, dict(headers or {}))

    def message(
        self, title: str, text: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Write a page that says one thing."""
        return self.write("message.html", status, headers, title=title, text=text)


def split_paragraphs(text: str) -> list[str]:
    r"""Split a text at its empty lines.

    Examples:
        >>> split_paragraphs("One\nparagraph.\n\n\nAnother one.\n")
        ['One\nparagraph.', 'Another one.']
    """
    blocks = "\n".join(line.strip() for line in text.splitlines()).split("\n\n")
    return [block.strip() for block in blocks if block.strip()]
