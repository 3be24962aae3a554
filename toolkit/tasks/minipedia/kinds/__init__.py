"""Every kind of thing in a Minipedia, one file each; the order is the order of articles."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Kind, KindName
from toolkit.tasks.minipedia.kinds.book import BOOK
from toolkit.tasks.minipedia.kinds.bridge import BRIDGE
from toolkit.tasks.minipedia.kinds.company import COMPANY
from toolkit.tasks.minipedia.kinds.lake import LAKE
from toolkit.tasks.minipedia.kinds.mountain import MOUNTAIN
from toolkit.tasks.minipedia.kinds.person import PERSON
from toolkit.tasks.minipedia.kinds.region import REGION
from toolkit.tasks.minipedia.kinds.river import RIVER
from toolkit.tasks.minipedia.kinds.school import SCHOOL
from toolkit.tasks.minipedia.kinds.town import TOWN

KINDS: dict[KindName, Kind] = {
    kind.name: kind for kind in (REGION, TOWN, MOUNTAIN, LAKE, RIVER, PERSON, SCHOOL, COMPANY, BRIDGE, BOOK)
}
