"""YAML without its traps: what a value written in a profile or on the command line is."""

import collections
import re
from typing import ClassVar

import yaml

from lib.parameters import StudyError

NUMBER = r"(?=.*[.eE])(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
FORMS = {  # of YAML 1.2, but for 0o17 and 0x1F
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?(?:0|[1-9][0-9]*)",
    "float": rf"[-+]?(?:{NUMBER}|\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
}
LONGEST = 10**5  # characters


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar = {
        None: [(f"tag:yaml.org,2002:{t}", re.compile(rf"(?:{f})\Z")) for t, f in FORMS.items()]
    }

    def compose_node(self, parent, index):
        event = self.peek_event()
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.YAMLError("tags, anchors and aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        names = collections.Counter(k.value for k, _ in node.value if isinstance(k.value, str))
        if twice := [name for name, count in names.items() if count > 1]:
            raise yaml.YAMLError(f"{twice[0]!r} twice")
        return super().construct_mapping(node, deep)


def from_yaml(source: str, text: str):
    """The value that `text` is. 1e2 is a number; 0x1F, 010, 1_000, 12:30:45, dates, yes and << are
    text. Raises StudyError, which names the `source`, also for tags, anchors, a name twice."""
    try:
        if len(text) > LONGEST:
            raise yaml.YAMLError(f"over {LONGEST} characters")
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"{source}: not valid YAML: {reason}") from error
